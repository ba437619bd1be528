// What the scripts share: where the service is, what they ask, and how they know an answer.

export const PROBLEM = "Compute (17 + 28) * 3 - 45.";
export const [url, policy, search] = process.argv.slice(2);
export const models = [policy, search];

export function promptOf(model) {
  return model.includes("@") ? PROBLEM : `<|user|>${PROBLEM}<|assistant|>`;
}

export function check(text) {
  if (typeof text !== "string" || !text.includes("boxed")) {
    throw new Error(`no solution: ${JSON.stringify(text)}`);
  }
}
