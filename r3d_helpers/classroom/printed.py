"""How JupyterLab shows what cells print and draw.

By itself it breaks long lines inside words, and makes a picture as narrow as a phone's page.
"""

STYLE = """<style>
.jp-OutputArea-output pre { word-break: normal; overflow-wrap: anywhere; }
.jp-RenderedImage img, .jp-OutputArea-output .widget-image { max-width: max(100%, 40em); }
.jp-OutputArea-output .widget-image { flex: none; }
</style>"""
