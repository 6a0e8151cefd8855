"""The only place where torch, timm and ray are imported."""
