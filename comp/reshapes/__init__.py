"""One way of being published that no layout reads, one file: `reshape(folder)` brings it into the competition's layout."""
