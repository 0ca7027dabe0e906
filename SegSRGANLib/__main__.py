"""`python -m SegSRGANLib` is the command `segsrgan`."""

from .cli.main import main

if __name__ == "__main__":
    main()
