"""Where pictures and samples go, each at its moment."""
