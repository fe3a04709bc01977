"""The report: what is stored of a competition's runs, as one HTML file that needs nothing else, and each plot as PNG and SVG."""
