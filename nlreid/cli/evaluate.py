"""`nlreid evaluate`: how well the right people are found, on a data set or on saved embeddings."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nlreid
from nlreid.cli import several
from nlreid.cli.arguments import add_model_options, model_name, number_option, whole_number
from nlreid.cli.dataset import embed_dataset
from nlreid.cli.scores import Problem, Result, as_json, as_text, solve
from nlreid.data.datasets.table import DATASETS, is_drawn
from nlreid.data.disk import resolved
from nlreid.embedding import Embeddings
from nlreid.errors import DataError, InputError
from nlreid.evaluation.distances.blocks import METRICS
from nlreid.evaluation.ranking.scores import AP
from nlreid.visualize import draw_cmc, save_picture
from nlreid.visualize.figures.style import check_matplotlib
from nlreid.visualize.picture_file import check_picture_path


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "evaluate",
        help="score a model on a data set",
        description="Embed the test part of a data set, search it, and score the rankings; or score saved embeddings. "
        "Of a data set of ten splits the mean over all is given.",
        usage="%(prog)s [options] DATASET ROOT\n       %(prog)s [options] synthetic\n"
        "       %(prog)s [options] --query FILE --gallery FILE",
        allow_abbrev=False,
    )
    parser.add_argument("dataset", metavar="DATASET", nargs="?", help=f"one of {', '.join(DATASETS)}")
    parser.add_argument("root", metavar="ROOT", nargs="?", type=Path, help="where the data set lies; synthetic lies nowhere")
    embedded = parser.add_argument_group("saved embeddings")
    embedded.add_argument("--query", metavar="FILE", type=Path, help="who is searched with; a folder: all its files")
    embedded.add_argument("--gallery", metavar="FILE", type=Path, help="who is searched in; the same")
    only_datasets = [*_add_dataset_options(parser), *add_model_options(parser.add_argument_group("model"))]
    _add_scoring_options(parser.add_argument_group("scores"))
    parser.add_argument("--quiet", action="store_true", help="no summary of the data set and no progress bar")
    parser.set_defaults(run=run, misused=parser.error, only_datasets=only_datasets, shared=True)


def _add_dataset_options(parser: Any) -> list[argparse.Action]:
    options = parser.add_argument_group("data set")
    keep = "keep the embeddings there as they come; an interrupted run goes on from there"
    return [
        number_option(options, "--split", whole_number(0), None, "only this split, from 0"),
        options.add_argument("--protocol", help="MARS: official (default) or community"),
        options.add_argument("--splits", metavar="FILE", help="PRID 2011: the file of splits, or 'generated'"),
        number_option(options, "--min-frames", whole_number(1), None, "PRID 2011: least number of frames in each camera"),
        number_option(
            options, "--data-seed", whole_number(0), None, "synthetic: which people and cameras are drawn (default: 0)"
        ),
        number_option(options, "--identities", whole_number(1), None, "synthetic: how many people (default: 50)"),
        number_option(options, "--data-cameras", whole_number(2), None, "synthetic: how many cameras (default: 2)"),
        number_option(
            options, "--tracklets", whole_number(1), None, "synthetic: tracklets of each in each camera (default: 1)"
        ),
        options.add_argument("--partial", action="store_true", help="take what is there of an incomplete data set"),
        options.add_argument("--keep", metavar="FOLDER", type=Path, help=keep),
    ]


def _add_scoring_options(options: Any) -> None:
    options.add_argument("--metric", choices=METRICS, default="euclidean", help="what to rank by (default: %(default)s)")
    options.add_argument(
        "--ap", choices=AP, default="average_precision", help="kind of average precision (default: %(default)s)"
    )
    options.add_argument("--rerank", action="store_true", help="score the ranking after k-reciprocal re-ranking, too")
    options.add_argument("--cameras", action="store_true", help="score each two cameras, too")
    options.add_argument("--json", action="store_true", help="print everything as JSON, fractions of 1, and nothing else")
    picture = "draw the CMC: .png, .jpg, .pdf or .svg (extra [viz])"
    options.add_argument("--picture", metavar="FILE", type=Path, help=picture)


def run(arguments: argparse.Namespace) -> None:
    """Get the embeddings of either form, score them, print, draw."""
    _check_form(arguments)
    if arguments.picture is not None:
        check_matplotlib()
        check_picture_path(arguments.picture)
        _check_reads_stay(arguments)
    if arguments.dataset is None:
        problems, about = _read_files(arguments.query, arguments.gallery)
    else:
        problems, about = embed_dataset(arguments)
    reranking = arguments.rerank and not several.rank()
    results = [solve(problem, arguments.metric, arguments.ap, reranking=reranking) for problem in problems]
    if several.rank():
        return
    if arguments.json:
        scores = as_json(results, arguments.metric, arguments.ap, cameras=arguments.cameras)
        print(json.dumps({"nlreid": nlreid.__version__, **about, **scores}, indent=1, allow_nan=False))
    else:
        print(as_text(results, arguments.metric, cameras=arguments.cameras))
    if arguments.picture is not None:
        _draw(results, arguments.picture)
        if not (arguments.json or arguments.quiet):
            print(f"\n{arguments.picture}: the CMC")


def _draw(results: Sequence[Result], path: Path) -> None:
    """The CMC before and after re-ranking, of several splits the mean."""
    model = model_name(results[0].problem.query)
    systems = {model: [result.scores for result in results]}
    if reranked := [result.reranked for result in results if result.reranked is not None]:
        systems[f"{model}, re-ranked"] = reranked
    save_picture(draw_cmc(systems, title=results[0].problem.name), path)


def _check_reads_stay(arguments: argparse.Namespace) -> None:
    """Refuse a picture in place of what is read."""
    picture = resolved(arguments.picture)
    if arguments.root is not None and picture.is_relative_to(resolved(arguments.root)):
        raise InputError(f"{arguments.picture} lies in the data set; give --picture a place elsewhere")
    for given in (arguments.query, arguments.gallery):
        if given is not None and resolved(given) == picture:
            raise InputError(f"{given} is read, and cannot be written too; give --picture another name")


def _check_form(arguments: argparse.Namespace) -> None:
    """Either a data set or two files; half of one, or some of both, is a mistake."""
    given = {name: getattr(arguments, name) is not None for name in ("dataset", "root", "query", "gallery")}
    drawn = is_drawn(arguments.dataset)
    if drawn and given["root"]:
        arguments.misused(f"{arguments.dataset} is drawn and lies nowhere; leave {arguments.root} out")
    if given["dataset"] and (given["root"] or drawn) and not (given["query"] or given["gallery"]):
        return
    if not (given["query"] and given["gallery"]) or given["dataset"]:
        arguments.misused("give DATASET and ROOT, or --query FILE and --gallery FILE, and not some of both")
    surplus = [action for action in arguments.only_datasets if getattr(arguments, action.dest) != action.default]
    if surplus:
        options = ", ".join(action.option_strings[0] for action in surplus)
        arguments.misused(f"embeddings from files are scored as they are; only with DATASET and ROOT goes {options}")


def _read_files(query_path: Path, gallery_path: Path) -> tuple[list[Problem], dict[str, Any]]:
    query, gallery = (_read_labelled(path) for path in (query_path, gallery_path))
    if query.model != gallery.model:
        raise InputError(
            f"embeddings of different models cannot be compared: {query.model!r} and {gallery.model!r}; "
            "embed both with one model and the same weights"
        )
    about = {"files": {"query": str(query_path), "gallery": str(gallery_path)}, "model": {"embeddings": query.model}}
    return [Problem(f"{query_path} in {gallery_path}", query, gallery)], about


def _read_labelled(path: Path) -> Embeddings:
    people = Embeddings.load(path)
    missing = [name for name in ("pids", "camids") if getattr(people, name) is None]
    if missing:
        raise DataError(
            f"{path}: holds no {' and no '.join(missing)}, without which nothing can be scored; they come into files by "
            "nlreid evaluate DATASET ROOT --keep FOLDER, by nlreid.embed of tracklets that have pid and camid, "
            "or by nlreid.Embeddings(features, pids, camids).save(path)"
        )
    return people
