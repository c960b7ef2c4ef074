"""The stages: one a file, one public function each, value in, value out."""
