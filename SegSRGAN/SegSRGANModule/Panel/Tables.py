"""Tables to read: whole rows, no editing, as high as their rows."""

from __future__ import annotations

from collections.abc import Sequence

import qt

_HEADER_HEIGHT, _ROW_HEIGHT, _MOST_ROWS = 22, 22, 8  # pixels; more rows scroll


def setUpTable(table, header: tuple[str, ...], wide: int = 1) -> None:
    """Column titles and behaviour; the first columns, `wide` of them, share the width that the others leave."""
    table.setHorizontalHeaderLabels(list(header))
    for column in range(len(header)):
        mode = qt.QHeaderView.Stretch if column < wide else qt.QHeaderView.ResizeToContents
        table.horizontalHeader().setSectionResizeMode(column, mode)
    table.verticalHeader().setVisible(False)
    table.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
    table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
    table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
    fillTable(table, [])


def fillTable(table, rows: Sequence[tuple[str, ...]], leastRows: int = 1) -> None:
    """Put texts into a table; where they are there already, the reader's selection stays."""
    table.setFixedHeight(_HEADER_HEIGHT + _ROW_HEIGHT * min(max(len(rows), leastRows), _MOST_ROWS))
    if rows == _texts(table):
        return
    table.setRowCount(len(rows))
    for row, texts in enumerate(rows):
        for column, text in enumerate(texts):
            item = qt.QTableWidgetItem(text)
            item.setToolTip(text)  # where the column is too narrow for it
            table.setItem(row, column, item)


def _texts(table) -> list[tuple[str, ...]]:
    cells = range(table.columnCount)
    return [tuple(table.item(row, column).text() for column in cells) for row in range(table.rowCount)]
