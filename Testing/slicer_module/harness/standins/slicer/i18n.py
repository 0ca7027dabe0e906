"""Stand-in of `slicer.i18n`: no translation files, so every text is itself."""


def tr(text: str) -> str:
    return text


def translate(context: str, text: str) -> str:
    return text
