"""Arguments that several commands have, which mean the same with all of them."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser


def add_place(parser: "ArgumentParser") -> None:
    """Add what says where to look: the configuration, and an account in it."""
    parser.add_argument("-C", "--config", metavar="FILE", help="this configuration file")
    parser.add_argument("-a", "--account", metavar="NAME", help="this account, not the default")
