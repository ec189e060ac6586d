"""`python -m tagapi.client`: the command line."""

from tagapi.client.commands.main import main

if __name__ == "__main__":
    main(prog_name="tagapi")
