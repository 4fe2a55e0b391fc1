"""The page of an analysis of layers: one HTML file that needs nothing else.

page = report_page(analysis, point_sounds(analysis, entries))
"""

from sonant.analysis.report.page import report_page
from sonant.analysis.report.sounds import point_sounds

__all__ = ["point_sounds", "report_page"]
