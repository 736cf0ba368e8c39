"""`python -m friendlyfl`, the same program as the command `friendlyfl`."""

if __name__ == "__main__":
    from friendlyfl.cli.main import main

    main()
