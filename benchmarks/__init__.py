"""How fast FriendlyFL is: programs that measure, each with its command, its goal and its last figure."""
