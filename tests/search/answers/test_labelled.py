from search.answers.canonical import answer_key
from tests.search.answers.shared_data import hostile_answers, read_rows


def test_labelled_pairs_are_told_apart() -> None:
    rows = read_rows("answer_pairs.jsonl")
    wrong = [row for row in rows if (answer_key(row["gold"]) == answer_key(row["pred"])) is not row["equal"]]
    assert not [row for row in wrong if not row["equal"]], "two different answers in one class"
    assert len(wrong) <= 0.02 * len(rows)


def test_merges_of_math500_are_right() -> None:
    groups: dict[str, set[str]] = {}
    for row in read_rows("math500.jsonl"):
        groups.setdefault(answer_key(row["answer"]), set()).add(row["answer"])
    assert sorted(sorted(group) for group in groups.values() if len(group) > 1) == [
        ["-2,1", "1,-2"],
        [r"10,\!080", "10080"],
        ["120", r"120^\circ"],
        ["15", r"15\mbox{ cm}^2"],
        [r"2 \sqrt{5}", r"2\sqrt{5}"],
        ["30", r"30^\circ"],
        [r"36", r"36^\circ", r"\$36"],
        ["5", "x=5"],
        ["90", r"90^\circ"],
        [r"\frac14", r"\frac{1}{4}"],
    ]


def test_only_words_of_math500_compare_as_text() -> None:
    texts = {row["answer"] for row in read_rows("math500.jsonl") if answer_key(row["answer"]).startswith("text:")}
    assert texts == {r"\text{Evelyn}", r"\text{Navin}", r"\text{east}", r"\text{ellipse}", r"\text{even}"}


def test_graded_samples_keep_their_grades() -> None:
    samples = [(row["gold"], sample) for row in read_rows("gsm8k_model_samples.jsonl") for sample in row["samples"]]
    answered = [(gold, sample) for gold, sample in samples if sample["answer"] is not None]
    grades = [answer_key(gold) == answer_key(sample["answer"]) for gold, sample in answered]
    assert grades == [sample["is_correct"] for _, sample in answered]


def test_hostile_answers_have_keys_without_workers() -> None:
    assert all(answer_key(text) for _, text in hostile_answers())
