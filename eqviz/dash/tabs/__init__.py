"""One file a tab; each defines ``View``, a subclass of :class:`eqviz.dash.tab.Tab`, found by itself."""
