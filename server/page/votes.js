/** The votes as a race: a bar for each answer, and the line at which nobody can overtake the leader any more. */

import { many } from "./numbers.js";
import { Answer, html } from "./parts.js";
import { supportInWords, supportOf, unitOf } from "./words.js";

const SHOWN = 6;
const ROW = 22; // pixels; style.css has it, too

/** Candidates without an answer are a class of their own, whatever the answers of others are called. */
export const keyOf = ({ answer }) => JSON.stringify(answer);

/**
 * @param {{story: import("./story.js").Story, most?: number}} props
 */
export function Votes({ story, most = SHOWN }) {
  const told = story.votes;
  if (!told || !told.votes.length) return null;
  const selection = story.selection ?? "weighted";
  const votes = told.votes.map((vote) => ({ ...vote, support: supportOf(story, vote, selection) }));
  const shown = votes.slice(0, most);
  const { line, outstanding } = told;
  const scale = Math.max(line ?? 0, ...votes.map((vote) => vote.support), 1e-9);
  const leader = votes.find((vote) => vote.answer !== null);
  const isOver = story.state === "complete";
  const standing = () => {
    if (isOver) return "";
    if (line !== null && leader && leader.support >= line) return "Decided: nothing outstanding can change the answer.";
    const open = outstanding ? `${many(outstanding, "candidate")} may still vote. ` : "";
    return line === null ? open : `${open}Decided at ${supportInWords(line, selection)}.`;
  };
  return html`<section class="votes" aria-label="Votes">
    <h2>Votes <span class="small">by ${unitOf(selection)}</span></h2>
    <ol style=${{ height: `${shown.length * ROW}px` }}>
      ${shown.map(
        (vote, place) => html`<li
          key=${keyOf(vote)}
          class=${vote === leader ? "leader" : ""}
          style=${{ transform: `translateY(${place * 100}%)` }}
        >
          <span class="name"><${Answer} text=${vote.answer} /></span>
          <span class="track">
            <span class="bar" style=${{ width: `${(vote.support / scale) * 100}%` }}></span>
            ${line !== null &&
            html`<span class="line" style=${{ left: `${(line / scale) * 100}%` }} title="Decided from here on"></span>`}
          </span>
          <span class="worth">${supportInWords(vote.support, selection)}</span>
          <span class="count small">${many(vote.count, "vote")}</span>
        </li>`,
      )}
    </ol>
    <p class="small">
      ${votes.length > most ? `${votes.length - most} more answers. ` : ""}${standing()}
    </p>
  </section>`;
}
