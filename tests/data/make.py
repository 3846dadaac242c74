"""Make the small videos in this folder, which the tests read; README.md says what each one is.

A portrait moves over a drifting texture. The files are committed, so the tests run without this
script; it needs `pip install av scikit-image opencv-python`.
"""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from skimage.data import astronaut

HERE = Path(__file__).parent
SIZE = 120, 160  # height, width
PORTRAIT = astronaut()[:256, 96:352]  # Eileen Collins, her face in the middle
BLOTCHES = np.random.default_rng(0).integers(50, 200, (20, 20, 3), np.uint8)
TEXTURE = cv2.resize(BLOTCHES, (400, 400), interpolation=cv2.INTER_CUBIC)
RATE = 16000  # of the sound, samples per second

Face = tuple[float, float, float]  # x and y of the portrait's middle, and its side; pixels


def scene(time: float, size: tuple[int, int], faces: Sequence[Face]) -> np.ndarray:
    """One frame, uint8 [H, W, 3], RGB; `time` runs from 0 to 1."""
    height, width = size
    top, left = round(20 * time), round(40 * time)
    frame = TEXTURE[top : top + height, left : left + width].copy()
    sway = np.sin(2 * np.pi * time)
    light = np.clip(PORTRAIT * (0.95 + 0.1 * sway), 0, 255).astype(np.uint8)
    for x, y, side in faces:
        side = round(side * (1 + 0.06 * sway))
        top, left = round(y + 2 * sway - side / 2), round(x + 6 * time - side / 2)
        place = frame[max(top, 0) : top + side, max(left, 0) : left + side]
        small = cv2.resize(light, (side, side), interpolation=cv2.INTER_AREA)
        small = small[max(-top, 0) :, max(-left, 0) :]
        place[:] = small[: place.shape[0], : place.shape[1]]
    return frame


def film(count: int, *faces: Face, size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    """Frames that all show the same faces."""
    return [scene(i / count, size, faces) for i in range(count)]


def save(
    name: str,
    frames: Sequence[np.ndarray] = (),
    codec: str = "libx264",
    quality: int = 30,
    times: Sequence[int] | None = None,
    rotation: int = 0,
    sound: int = 0,
) -> None:
    """Write a video.

    Args:
        name: of the file.
        frames: uint8 [H, W, 3], RGB; none for a file without pictures.
        codec: an encoder of FFmpeg.
        quality: its crf; a larger number makes a smaller file.
        times: of each frame, in 1/600 s; None for 25 frames per second.
        rotation: degrees by which a player turns the picture, counterclockwise.
        sound: samples of silence.
    """
    flags = {"fflags": "bitexact", "movflags": "faststart", "video_track_timescale": "600"}
    if not name.endswith((".mp4", ".mov")):
        del flags["movflags"], flags["video_track_timescale"]
    with av.open(HERE / name, "w", options=flags) as out:
        streams = []
        if len(frames):
            options = {"crf": str(quality), "g": "10"}
            options["mbtree"] = "0"  # with it, x264 writes other bytes at every run
            if times:
                options["bf"] = "0"  # with B-frames, the file would state too short a duration
            video = out.add_stream(codec, rate=25, options=options)
            video.height, video.width = frames[0].shape[:2]
            video.pix_fmt = "yuv420p"
            video.codec_context.time_base = Fraction(1, 600)
            video.codec_context.thread_count = 1
            if rotation:
                video.set_display_rotation(rotation)
            streams.append(video)
        if sound:
            audio = out.add_stream("aac", rate=RATE, layout="mono", bit_rate=16000)
            streams.append(audio)
            silence = av.AudioFrame.from_ndarray(
                np.zeros((1, sound), np.float32), format="fltp", layout="mono"
            )
            silence.sample_rate = RATE
            out.mux(audio.encode(silence))
        for i, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels)
            frame.pts = times[i] if times else i * 24
            frame.time_base = Fraction(1, 600)
            out.mux(video.encode(frame))
        for stream in streams:
            out.mux(stream.encode())


def main() -> None:
    left, large, small = (50, 64, 104), (44, 58, 112), (145, 70, 88)
    save("h264.mp4", film(20, left), sound=RATE * 20 // 25)
    save("vp9_odd.webm", film(12, left, size=(121, 161)), "libvpx-vp9", 36)
    upright = film(12, (48, 66, 96), size=SIZE[::-1])
    save("rotated.mov", [np.rot90(frame).copy() for frame in upright], rotation=-90)
    vfr = [20 * i for i in range(10)] + [300 + 120 * i for i in range(10)]
    save("vfr.mp4", film(20, left), times=vfr)
    save("no_face.mp4", film(12))
    save("two_faces.mp4", film(8, small, large, size=(120, 200)))
    save("audio_only.mp4", sound=RATE)
    save("late_face.mp4", film(24)[:8] + film(24, left)[8:])
    save("truncated.mp4", film(20, left))
    whole = (HERE / "truncated.mp4").read_bytes()
    (HERE / "truncated.mp4").write_bytes(whole[: len(whole) * 6 // 10])


if __name__ == "__main__":
    main()
