"""How JupyterLab shows what cells print and draw.

By itself it breaks long lines inside words, and makes a figure as narrow as a phone's page.
"""

STYLE = """<style>
.jp-OutputArea-output pre { word-break: normal; overflow-wrap: anywhere; }
.jp-RenderedImage img { max-width: max(100%, 40em); }
</style>"""
