"""The import of a do-not-call list: every line is taken or reported."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_exotel_ccm.models import DoNotCall
from django_exotel_ccm.services import do_not_call_import
from django_exotel_ccm.services.do_not_call_import import ImportReport, UnreadableFile, import_do_not_call

ONE, TWO, THREE = "+919000001001", "+919000001002", "+919000001003"


def counts(report: ImportReport) -> tuple[int, int, int, int, int]:
    return report.added, report.extended, report.known, report.repeated, len(report.unread)


def numbers() -> set[str]:
    return set(DoNotCall.objects.values_list("number", flat=True))


@pytest.mark.parametrize(
    "data",
    [
        f"{ONE}\n{TWO}\n".encode(),
        f"{ONE}\r\n{TWO}".encode(),
        f"{ONE}\r{TWO}\r".encode(),
        f"\ufeff{ONE}\n{TWO}".encode(),
        f"\ufeff{ONE}\n{TWO}".encode("utf-16-le"),
        f"\ufeff{ONE}\n{TWO}".encode("utf-16-be"),
        f"number\n{ONE}\n{TWO}\n".encode(),
        f"\ufeffName;Mobile No.;Remarks\nRavi;{ONE};x\nMeera;{TWO};y\n".encode(),
        f"Name\tPhone\nRavi\t{ONE}\nMeera\t{TWO}\n".encode(),
        f"sep=;\nPhone;Name\n{ONE};a,b,c\n{TWO};d\n".encode(),
        f'"{ONE}","He said ""no"""\n"{TWO}"\n'.encode(),
        f"{ONE},Café\n{TWO}\n".encode("cp1252"),
        b"90000 01001\n9000001002.0\n",
        b'="+919000001001"\n="9000001002"\n',
        f"\n\n,,\n{ONE}\n   \n{TWO}\n\n".encode(),
        f"{ONE}\0\n{TWO}".encode(),
    ],
)
def test_files_as_people_have_them(db: None, data: bytes) -> None:
    report = import_do_not_call(data)

    assert numbers() == {ONE, TWO}
    assert counts(report) == (2, 0, 0, 0, 0)
    assert report.lines == 2
    assert set(DoNotCall.objects.values_list("source", "expires_at")) == {("imported", None)}


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("9.19E+11", "has rounded this number"),
        ("9,19E+11", "has rounded this number"),
        ("9.19e11", "has rounded this number"),
        ("=1+1", "a formula"),
        ("=HYPERLINK(0)", "a formula"),
        ("@SUM(A1)", "a formula"),
        ("+cmd|' /C calc'!A0", "a formula"),
        ("98XXXXXX10", "not dialled"),
        ("Ravi", "not one valid phone number"),
        ("12345", "not one valid phone number"),
        ("9000001001 / 9000001002", "several numbers"),
        ("9" * 4000, "too long"),
        ("x" * 6000, "no phone number"),
    ],
)
def test_unread_line_is_reported_with_its_number(db: None, cell: str, problem: str) -> None:
    report = import_do_not_call(f'phone;reason\n{ONE};a\n\n"{cell}";b\n{TWO};c\n'.encode())

    assert numbers() == {ONE, TWO}
    [unread] = report.unread
    assert unread.line == 4
    assert problem in unread.problem
    assert cell[:8] not in unread.problem


def test_quotation_mark_that_is_never_closed_loses_no_line(db: None) -> None:
    report = import_do_not_call(f'{ONE},"asked\nnot to be called\n{TWO}\n{THREE}\n'.encode())

    assert numbers() == {ONE, TWO, THREE}
    assert [unread.line for unread in report.unread] == [2]


def test_reason_and_expiry(db: None) -> None:
    long = "x" * 300
    data = f"expires,number,reason\n2127-01-31,{ONE},said so\n,{TWO},{long}\n31/01/2127,{THREE},\n2127-02-30,{THREE},\n"

    report = import_do_not_call(data.encode())

    first, second = DoNotCall.objects.order_by("number")
    assert (first.reason, second.reason) == ("said so", long[:200])
    assert (
        timezone.localtime(first.expires_at, timezone.get_default_timezone()).isoformat() == "2127-02-01T00:00:00+05:30"
    )
    assert second.expires_at is None
    assert [(one.line, "Write it like 2027-01-31" in one.problem) for one in report.unread] == [(4, True), (5, True)]


def test_duplicates_and_known_numbers(db: None) -> None:
    soon = timezone.now() + datetime.timedelta(days=1)
    DoNotCall.objects.create(number=ONE)
    DoNotCall.objects.create(number=TWO, expires_at=soon, source="exotel")

    report = import_do_not_call(f"{ONE}\n{TWO}\n{THREE}\n90000 01003\n".encode())

    assert counts(report) == (1, 1, 1, 1, 0)
    assert dict(DoNotCall.objects.values_list("number", "source")) == {ONE: "typed", TWO: "imported", THREE: "imported"}
    assert not DoNotCall.objects.exclude(expires_at=None).exists()


@pytest.mark.parametrize(
    "headings",
    [
        *("mobile,phone", "Phone 1,Phone 2", "number,Alternate Phone", "Mobile No.,WhatsApp"),
        *("Phone,Phone (home)", "Phone,Phone-office", "Tel. (R),Mob. no. 2", "Number,WhatsApp no."),
    ],
)
def test_every_column_of_numbers_is_read(db: None, headings: str) -> None:
    data = f"name,{headings},reason\nMeera,9000001001,9000001002,asked\nRavi,,{THREE},\nAsha,{THREE},{THREE},\nVik,,,\n"

    report = import_do_not_call(data.encode())

    assert numbers() == {ONE, TWO, THREE}
    assert set(DoNotCall.objects.filter(reason="asked").values_list("number", flat=True)) == {ONE, TWO}
    assert counts(report) == (3, 0, 0, 1, 1)
    assert (report.lines, [one.line for one in report.unread]) == (4, [5])


def test_number_that_cannot_be_read_does_not_take_the_other_with_it(db: None) -> None:
    report = import_do_not_call(f"mobile,phone\n{ONE},12345\nx,12345\n".encode())

    assert numbers() == {ONE}
    assert [one.line for one in report.unread] == [2, 3]


def test_second_number_without_a_heading_is_reported(db: None) -> None:
    report = import_do_not_call(f"{ONE},{TWO}\n{THREE},said so on 9 May\n".encode())

    assert numbers() == {ONE, THREE}
    [unread] = report.unread
    assert unread.line == 1
    assert "a second number in this line" in unread.problem


@pytest.mark.parametrize(
    "heading", ["Alternate", "Alternate contact", "Second number", "Alt no.", "Spouse contact", "Phone of office"]
)
@pytest.mark.parametrize("cell", [TWO, "90000 01002", f"{TWO} (wife)", f"{TWO} / {THREE}", "12 MG Road ph 9000001002"])
def test_number_below_an_unknown_heading_is_reported(heading: str, cell: str, db: None) -> None:
    report = import_do_not_call(f"Name,Mobile,{heading}\nMeera,{THREE},\nRavi,{ONE},{cell}\n".encode())

    assert numbers() == {ONE, THREE}
    [unread] = report.unread
    assert unread.line == 3
    assert f"in the column “{heading}” and was not read" in unread.problem
    assert "01002" not in unread.problem


@pytest.mark.parametrize("heading", ["", "Name,Mobile", "Name,Mobile,"])
def test_number_below_no_heading_is_reported(heading: str, db: None) -> None:
    report = import_do_not_call(f"{heading}\nRavi,{ONE},{TWO}\n".encode())

    assert [one.line for one in report.unread] == [2]
    assert "a second number in this line" in report.unread[0].problem


def test_heading_is_quoted_without_a_number(db: None) -> None:
    report = import_do_not_call(f"Mobile,See {THREE}\n{ONE},{TWO}\n".encode())

    assert THREE not in report.unread[0].problem
    assert "See +••••••••••03" in report.unread[0].problem


@pytest.mark.parametrize(
    "cell",
    [
        *("560001", "250000", "1,50,000.00", "10023", "C-10023", "INV-2026-000123", "4111 1111 1111 1111"),
        *("2026-01-31", "31/01/2026", "31.01.26", "2026-01-31 10:00:00", "1790000000000"),
        *("ravi@example.com", "12 MG Road, Bangalore 560001", ONE, "+91 90000-01001"),
    ],
)
@pytest.mark.parametrize("region", ["IN", "SG", "DE"])
def test_other_columns_are_no_numbers(cell: str, region: str, db: None, settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "NUMBER_REGION": region}

    report = import_do_not_call(f'mobile,Customer id\n{ONE},"{cell}"\n'.encode())

    assert (numbers(), report.unread) == ({ONE}, [])


def test_extending_many_costs_few_statements(db: None, django_user_model: Any) -> None:
    lines = [f"+9190001{number:05}" for number in range(2_000)]
    soon = timezone.now() + datetime.timedelta(days=1)
    DoNotCall.objects.bulk_create([DoNotCall(number=one, expires_at=soon, source="exotel") for one in lines])
    user = django_user_model.objects.create_user("meera")

    with CaptureQueriesContext(connection) as captured:
        report = import_do_not_call("\n".join(f"{one},said so {one[-1]}" for one in lines).encode(), created_by=user)

    assert counts(report) == (0, 2_000, 0, 0, 0)
    entry = DoNotCall.objects.get(number=lines[7])
    assert (entry.reason, entry.expires_at, entry.source, entry.created_by) == ("said so 7", None, "imported", user)
    assert len(captured) < 50


def test_dry_run_changes_nothing(db: None) -> None:
    report = import_do_not_call(f"{ONE}\nx\n".encode(), dry_run=True)

    assert counts(report) == (1, 0, 0, 0, 1)
    assert not numbers()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "There is no number in this file"),
        (b"number,reason\n\n", "There is no number in this file"),
        (b"PK\x03\x04\x14\x00\x06\x00", "This is no text file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "This is no text file"),
        (b"\x00\x01\x02" * 100, "This is no text file"),
        (b"\xff\xfe\x00", "This is no text file"),
        (b"x" * (20 * 1024 * 1024 + 1), "The file is too large"),
        (b"\n" * 200_001, "too many lines"),
    ],
)
def test_unreadable_file(db: None, data: bytes, problem: str) -> None:
    with pytest.raises(UnreadableFile, match=problem):
        import_do_not_call(data)


def test_interrupted_import_adds_nothing(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(do_not_call_import, "BATCH", 2)
    real, batches = do_not_call_import.DoNotCall.objects.all().__class__.bulk_create, []

    def fail_later(self: Any, rows: Any, **options: Any) -> Any:
        batches.append(rows)
        if len(batches) > 1:
            raise KeyboardInterrupt
        return real(self, rows, **options)

    monkeypatch.setattr(do_not_call_import.DoNotCall.objects.all().__class__, "bulk_create", fail_later)

    with pytest.raises(KeyboardInterrupt):
        import_do_not_call(f"{ONE}\n{TWO}\n{THREE}\n".encode())

    assert not numbers()


def test_a_hundred_thousand_lines(db: None) -> None:
    data = "\n".join(["number", *(f"+9190001{number:05}" for number in range(100_000))]).encode()

    with CaptureQueriesContext(connection) as captured:
        report = import_do_not_call(data)

    assert counts(report) == (100_000, 0, 0, 0, 0)
    assert DoNotCall.objects.count() == 100_000
    assert len(captured) < 2_000  # by batches: older releases of Django split one into several statements
