"""`python -m ops_platform.cli`: the same as `ops`, for processes that the platform starts with its own Python."""

from ops_platform.cli import main

if __name__ == "__main__":
    main()
