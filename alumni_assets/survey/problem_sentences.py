"""What is wrong with rows, in sentences for a person who does not program."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from alumni_assets.contract import BY_NAME, VOCABULARY_COLUMNS, Code, Contract
from alumni_assets.survey.cells import by_distinct


def problem_sentences(problems: pa.Array, contract: Contract | None = None) -> pa.Array:
    """For each list of problems its sentences, one on each line; null stays null.

    With a contract, an answer that is in no closed list and near none of it gets the possible answers.
    """
    sentences = sentences_of(problems.flatten(), contract)
    offsets = pa.array(np.concatenate([[0], np.cumsum(numbers_of_problems(problems))]), pa.int32())
    lists = pa.ListArray.from_arrays(offsets, sentences, mask=pc.is_null(problems))
    return pc.binary_join(lists, "\n")


def sentences_of(problems: pa.StructArray, contract: Contract | None) -> pa.Array:
    """A sentence for each problem, as `problem_sentences` has them."""

    def part(name: str) -> pa.Array:
        return pc.struct_field(problems, name)

    column = pc.fill_null(part("column"), "")
    subject = pc.if_else(pc.equal(column, ""), "", pc.binary_join_element_wise(column, "", ": "))
    guess = pc.binary_join_element_wise(" Did you mean ", part("suggestion"), "?", "")
    if contract is not None:
        in_no_list = pc.fill_null(pc.equal(part("code"), Code.NOT_IN_LIST.value), False)
        answers = by_distinct(
            column, lambda some: pa.array([_answers(title, contract) for title in some.to_pylist()], pa.string())
        )
        guess = pc.coalesce(guess, pc.if_else(in_no_list, answers, ""))
    return pc.binary_join_element_wise(subject, pc.fill_null(part("message"), ""), pc.fill_null(guess, ""), "")


def numbers_of_problems(problems: pa.Array) -> np.ndarray:
    """How many problems each list has."""
    return pc.fill_null(pc.list_value_length(problems), 0).to_numpy(zero_copy_only=False).astype(np.int64)


def _answers(title: str, contract: Contract) -> str:
    words = next((contract.vocabulary(name) for name in VOCABULARY_COLUMNS if BY_NAME[name].header == title), ())
    return f" It is one of: {', '.join(words)}." if words else ""
