from __future__ import annotations

import threading

import pytest

from imgfetch.errors import ImgfetchError, NotFoundError, SeveralImagesError, StorageError, TransportError
from imgfetch.oci.names import ImageRequest, images
from imgfetch.progress import Progress
from imgfetch.pull import together

MANY = images([f"host.example/image-{number}" for number in range(20)])


class Recorded(Progress):
    def __init__(self) -> None:
        self.calls: list[tuple[int, int, str]] = []

    def resolving(self, done: int, total: int, name: str) -> None:
        self.calls.append((done, total, name))


def test_eight_images_are_resolved_at_a_time_after_the_first() -> None:
    barrier, running, most, lock = threading.Barrier(8), [0], [0], threading.Lock()

    def resolve(image: ImageRequest) -> str:
        if image is MANY[0]:
            assert before.issuperset(threading.enumerate())
            return str(image.reference)
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        if MANY.index(image) <= 8:
            barrier.wait(30)
        with lock:
            running[0] -= 1
        return str(image.reference)

    before = set(threading.enumerate())
    found = together.each(MANY, resolve, stop=lambda: None)
    assert [name for _, name in found] == [str(image.reference) for image in MANY]
    assert most[0] == 8


def test_one_job_is_one_request_at_a_time() -> None:
    threads = set()
    together.each(MANY, lambda _: threads.add(threading.get_ident()), stop=lambda: None, is_serial=True)
    assert len(threads) == 1


def test_progress_has_the_first_name_before_the_first_answer() -> None:
    progress = Recorded()
    together.each(MANY[:3], lambda _: len(progress.calls), stop=lambda: None, progress=progress, is_serial=True)
    assert progress.calls == [
        (0, 3, "host.example/image-0:latest"),
        (1, 3, "host.example/image-0:latest"),
        (2, 3, "host.example/image-1:latest"),
        (3, 3, "host.example/image-2:latest"),
    ]


def failing(*numbers: int) -> object:
    def resolve(image: ImageRequest) -> None:
        if MANY.index(image._replace(origin="")) in numbers:
            raise TransportError("the line is dead")

    return resolve


def test_all_failures_are_reported_in_the_order_of_the_list() -> None:
    listed = [image._replace(origin=f"list:{number}") for number, image in enumerate(MANY, 1)]
    with pytest.raises(SeveralImagesError, match="3 of 20 images failed") as raised:
        together.each(listed, failing(2, 7, 19), stop=lambda: None)
    assert [str(error) for error in raised.value.errors] == [
        "list:3: host.example/image-2:latest: the line is dead",
        "list:8: host.example/image-7:latest: the line is dead",
        "list:20: host.example/image-19:latest: the line is dead",
    ]


def test_a_single_failure_keeps_its_class_and_names_its_image_once() -> None:
    def resolve(image: ImageRequest) -> None:
        raise NotFoundError(f"the manifest of {image.reference} was not found", url="u", status=404)

    with pytest.raises(NotFoundError, match=r"^the manifest of host.example/image-0:latest was not found$"):
        together.each(MANY[:1], resolve, stop=lambda: None)


def test_failures_may_be_left_out_unless_all_fail() -> None:
    failures: list[ImgfetchError] = []
    found = together.each(MANY[:3], failing(1), stop=lambda: None, failed=failures.append)
    assert [image for image, _ in found] == [MANY[0], MANY[2]]
    assert [str(error) for error in failures] == ["host.example/image-1:latest: the line is dead"]
    with pytest.raises(SeveralImagesError):
        together.each(MANY[:3], failing(0, 1, 2), stop=lambda: None, failed=failures.append)


@pytest.mark.parametrize("number", [0, 5])
def test_an_error_of_this_machine_ends_all_at_once(number: int) -> None:
    stopped, began = threading.Event(), []

    def resolve(image: ImageRequest) -> None:
        began.append(image)
        if image is MANY[number]:
            raise StorageError("the disk is full")
        if number:
            stopped.wait(10 if len(began) > 1 else 0)

    with pytest.raises(StorageError, match=r"^the disk is full$"):
        together.each(MANY, resolve, stop=stopped.set)
    assert len(began) < 20
