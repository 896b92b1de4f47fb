"""Shows what a scene will look like before it is rendered: a contact sheet, a timeline, warnings, or single frames.

``preview_scene`` (scene.py) steps the scene as a parallel render does, and draws only the frames that are shown, in the
same process, with Manim's own camera (stepping.py). A scene that reads its own pixels is run again by Manim itself,
which draws every frame and encodes none (drawing.py). Both hand plays and frames to a Recorder (recorder.py). checks/
finds what is hard to see in a frame, such as text over text; origins.py knows the lines that made it.
"""
