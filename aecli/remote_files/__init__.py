"""Files on object stores and web servers, used by their addresses like paths on disk."""
