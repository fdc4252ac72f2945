"""What a family of chips may put in the place of the generic one: memories, lanes, serializers."""
