"""Files of declared timers: read strictly, with the place of each mistake."""
