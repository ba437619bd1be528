# ruff: noqa: RUF001 (phrases in Cyrillic and in Chinese)
"""How languages say that an answer follows, and that an explanation does: a row for each, which may grow."""

import re
from collections.abc import Iterable, Sequence

_ROWS = r"""
English    | answers?             | results?            | solutions?      | is|are|was|(?:wi|wou|mu|shou)(?:ll|ld|st) be
Chinese    | 答案|答|故选|应选    | 结果                | 解              | 应该是|应该为|就是|应为|等于|是|为|应选|选
Spanish    | respuestas?          | resultado           | soluci(?:ón|ones) | es|son|será|sería
French     | réponses?            | résultat            | solutions?      | est|sont|vaut|serait
German     | (?:end)?antwort(?:en)? | (?:end)?ergebnis  | lösung(?:en)?   | ist|sind|lautet|lauten|beträgt|wäre
Russian    | ответ(?:ом)?         | результат           | решение(?:м)?   | это|является|равен|равно|равна|будет
Japanese   | 答え|解答|正解|回答|答 | 結果              | 解              | は
Portuguese | respostas?           | resultado           | soluç(?:ão|ões) | é|são|será|seria
Italian    | rispost[ae]          | risultato           | soluzion[ei]    | è|sono|sarà
Dutch      | antwoord             | resultaat           | oplossing       | is|zijn
Polish     | odpowied[źz]         | wynik               | rozwiązanie     | to|jest|wynosi
Turkish    | cevap                | sonuç               | çözüm           | şudur
Vietnamese | đáp án|đáp số        | kết quả             | nghiệm          | là
Korean     | 정답|답              | 결과                | 해              | 은|는
Arabic     | الجواب|الإجابة       | النتيجة             | الحل            | هو|هي
"""
"""Language | what an answer is called | a result | a solution, after which a colon may begin a derivation | verbs."""

_QUALITIES = r"""
the my your our a final correct right best la el le les die der das eine die finale correcta correcte correcto richtige
endgültige finale exacte correta итоговый окончательный правильный 最终 最終 正确 最后 최종
"""
_BEHIND_NOUN = (
    "final(?:e)?|correcta|correcte|exacte|correta|choice|option|value"
    r"|to (?:an?|the|this|that|your|our|my) (?:[^\W\d_]{1,20} ){0,3}"
    r"(?:problem|question|exercise|task|riddle|puzzle|equation|inequality|system)"
    r"(?:[ ,:]{0,2}[\"“][^\"”\n]{1,300}[\"”])?,?"
    "|du problème|del problema|do problema|auf die frage|的"
)
_FILLERS = (
    "therefore|thus|simply|just|then|clearly|hence|actually|indeed|still|exactly|given (?:as|by)|equal to"
    "|donc|also|pues|daher|somit|portanto|значит"
)

EXPLANATIONS = {
    "English": "because|since|as|which|where|given that|due to|so that|thanks to|i\\.e|that is|found by|by using",
    "Spanish": "porque|ya que|pues|puesto que|dado que|que es|lo que|es decir",
    "French": "parce qu|car|puisque|étant donné|ce qui|qui est|c'est-à-dire",
    "German": "weil|da|denn|welche|was|nämlich|das heißt|d\\.h",
    "Russian": "потому что|так как|поскольку|что|то есть|ведь",
    "Portuguese": "porque|pois|já que|uma vez que|dado que|o que|ou seja",
    "Italian": "perché|poiché|dato che|che è|cioè",
}
_SCRIPT_EXPLANATIONS = "因为|由于|所以|因此|即|也就是|其中|なぜなら|なので|ので|ため|つまり|왜냐하면"
_ENDINGS = "です|である|となります|になります|となる|になる|だ|입니다|이다"


def _alternatives(cells: Iterable[str]) -> str:
    return "|".join(cells)


def _columns() -> list[Sequence[str]]:
    rows = [re.split(r"\s+\|\s+", line) for line in _ROWS.strip().splitlines()]
    return list(zip(*rows, strict=True))


def _introduction(nouns: Sequence[str], verbs: Sequence[str], with_colon: bool) -> re.Pattern[str]:
    """What stands before an answer: a noun, and behind it a verb of its language, a sign, or the end of a line."""
    signs = "[:：＝=]|[—–]" if with_colon else "[＝=]"
    qualities, every = _alternatives(_QUALITIES.split()), _alternatives(nouns)
    behind = rf"(?:\s?(?:{_BEHIND_NOUN}))?[\"'”»]?[ \t]*"
    heading = rf"(?m:^[ \t]*(?:(?:{qualities})[ \t]*){{0,3}}(?:{every})[ \t]*$)" if with_colon else r"(?!)"
    filler = rf"(?:[ \t]*(?:{_FILLERS})\b)?"
    rows = zip(nouns, verbs, strict=True)
    without_spaces = r"(?<=[\u2e80-\uffff])"
    verb_ends = rf"(?:(?![a-zà-ÿ])|{without_spaces})"
    stated = _alternatives(rf"(?:{noun}){behind}(?:(?:{verb}){verb_ends}{filler}|{signs})" for noun, verb in rows)
    return re.compile(rf"{heading}|(?:(?<![^\W_])|{without_spaces})(?:{stated})", re.IGNORECASE)


_, _ANSWERS, _RESULTS, _SOLUTIONS, _VERBS = _columns()

INTRODUCTIONS = (
    _introduction(_ANSWERS, _VERBS, with_colon=True),
    _introduction(_RESULTS, _VERBS, with_colon=True),
    _introduction(_SOLUTIONS, _VERBS, with_colon=False),
)
"""What stands before an answer, the surest first."""

AFTERWARDS = re.compile(
    r"(?:^|[.!?\n])(?![^.!?\n]*\b(?:if|whether|not|suppose|assum\w+|check|verify|maybe|perhaps|might|could|would)\b)"
    r"[^.!?\n]{0,200}?(?<![\w.,+*/^=-])(?<![+*/^=-] )(-?\$?\d[\d,]{0,20}(?:\.\d{1,20}|/\d{1,20})?)"
    r" is (?:the|our|my|your) (?:final |correct |right )?answer[ \t]*(?=[.!\n]|$)",
    re.IGNORECASE,
)
"""A number that is called the answer behind it, in a sentence that neither asks nor denies it."""

EXPLANATION = re.compile(
    rf"\s{{0,9}}[,;(–—-]{{0,3}}\s{{0,9}}(?:(?<![\w])(?:{_alternatives(EXPLANATIONS.values())})(?![a-zà-ÿ])|[,(]\s*so\b)"
    rf"|\s{{0,9}}[,，;；(（]?\s{{0,9}}(?:{_SCRIPT_EXPLANATIONS})|\s{{1,9}}[—–-]\s{{1,9}}(?=[^\W\d_]{{3}})",
    re.IGNORECASE,
)
"""Where an explanation begins behind an answer."""

ENDING = re.compile(rf"(?:{_ENDINGS})\s*$")
"""Particles behind an answer that belong to the sentence."""

SENTENCE_END = re.compile(
    r"(?<!\bRs)(?<!\bNo)(?<!\bca)(?<!\bapprox)(?<!\b[ap]\.m)(?<!\b[ap])\.(?=\s|\Z|[^\x00-\x7f])|[。！？]|\n"
)
