"""Make the odd files in this folder, and store what FFmpeg's command line says about each.

Cameras, phones, editors and recorders write such files; README.md lists the kinds. The files and
what is expected of them are committed, so the tests run without this script; where `ffmpeg` is
installed, they ask it again. Needs an `ffmpeg` with the usual encoders (Debian's, 5.1 or newer).
"""

import json
import re
import shlex
import struct
import subprocess
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
DAMAGED = "h264.mp4", "hevc.mp4", "vp8.webm", "mpeg2.ts", "mpeg4.avi"  # each at so many places:
PLACES = 4
GRID = 8, 12  # what is stored of a picture: means of so many rows and columns of cells

SOURCE = "-f lavfi -i testsrc2=s=96x64:r=25:d=0.4"  # ten frames, no two alike
SOUND = "-f lavfi -i sine=d=0.4"
SMALL = "-f lavfi -i testsrc=s=48x32:r=25:d=0.4"
X264 = "-c:v libx264 -g 5"
X265 = "-c:v libx265 -x265-params log-level=none"
FIELDS = "-f lavfi -i testsrc2=s=96x64:r=50:d=0.4,interlace"
LATE = "-vsync passthrough -c:v libx264 -bf 0 -vf"

# The name of a file, and the arguments that make it.
FILES = {
    # Codecs and containers
    "h264.mp4": f"{SOURCE} {X264} -movflags faststart",
    "hevc.mp4": f"{SOURCE} {X265} -pix_fmt yuv420p",
    "hevc_10bit.mp4": f"{SOURCE} {X265} -pix_fmt yuv420p10le",
    "av1.mp4": f"{SOURCE} -c:v libaom-av1 -cpu-used 8",
    "vp8.webm": f"{SOURCE} -c:v libvpx -g 5",
    "vp9_alpha.webm": f"{SOURCE},format=yuva420p,fade=alpha=1:d=0.4 -c:v libvpx-vp9",
    "prores.mov": f"{SOURCE} -c:v prores_ks -profile:v 0 -frames:v 3",
    "prores_alpha.mov": f"{SOURCE} -c:v prores_ks -pix_fmt yuva444p10le -frames:v 3",
    "mjpeg.avi": f"{SOURCE} -c:v mjpeg -pix_fmt yuvj422p -q:v 6",
    "dv.avi": "-f lavfi -i testsrc2=s=720x480:r=30000/1001 -c:v dvvideo -pix_fmt yuv411p"
    " -frames:v 1",
    "mpeg2.ts": f"{SOURCE} {SOUND} -c:v mpeg2video -g 5 -bf 2 -c:a mp2",
    "mpeg2.mpg": f"{SOURCE} {SOUND} -c:v mpeg2video -g 5 -bf 2 -c:a mp2",
    "mpeg4.avi": f"{SOURCE} -c:v mpeg4 -g 5 -bf 2 -vtag XVID",
    "wmv.wmv": f"{SOURCE} -c:v wmv2 -g 5",
    "theora.ogv": f"{SOURCE} -c:v libtheora",
    "flash.flv": f"{SOURCE} {SOUND} -c:v flv -g 5 -c:a aac",
    "h263.3gp": "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4 -c:v h263",
    "pieces.mp4": f"{SOURCE} {X264} -movflags frag_keyframe+empty_moov",
    "gif.gif": f"{SOURCE}",
    "one.mp4": f"{SOURCE} {X264} -frames:v 1",
    # Pictures
    "interlaced.mp4": f"{FIELDS} {X264} -flags +ildct+ilme",
    "interlaced.mpg": f"{FIELDS} -c:v mpeg2video -g 5 -flags +ildct+ilme",
    "grey.mp4": f"{SOURCE} {X264} -pix_fmt gray",
    "yuv444.mp4": f"{SOURCE} {X264} -pix_fmt yuv444p",
    "yuv422_10bit.mov": f"{SOURCE} {X264} -pix_fmt yuv422p10le",
    "rgb.mp4": f"{SOURCE} -c:v libx264rgb -g 5 -crf 30",
    "raw_bgr.avi": "-f lavfi -i testsrc2=s=48x32:r=25 -frames:v 3 -c:v rawvideo -pix_fmt bgr24",
    "palette.mov": "-f lavfi -i testsrc2=s=48x32:r=25 -frames:v 3 -c:v qtrle -pix_fmt rgb24",
    "hdr.mp4": f"{SOURCE} -vf scale=out_color_matrix=bt2020,format=yuv420p10le {X265}"
    ":colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc",
    "bt709.mp4": f"{SOURCE} -vf scale=out_color_matrix=bt709 {X264} -pix_fmt yuv420p"
    " -colorspace bt709 -color_primaries bt709 -color_trc bt709",
    "bt709_full.mp4": f"{SOURCE} -vf scale=out_color_matrix=bt709:out_range=pc {X264}"
    " -pix_fmt yuv420p -colorspace bt709 -color_range pc",
    "unknown_colors.mp4": f"{SOURCE} {X264} -pix_fmt yuv444p -colorspace ycgco",
    "odd_size.webm": "-f lavfi -i testsrc2=s=97x65:r=25:d=0.4 -c:v libvpx-vp9 -pix_fmt yuv420p",
    "odd_size.mp4": f"-f lavfi -i testsrc2=s=97x65:r=25:d=0.4 {X264} -pix_fmt yuv444p",
    "oblong_4_3.mp4": f"{SOURCE} -vf setsar=4/3 {X264}",
    "oblong_3_4.webm": f"{SOURCE} -vf setsar=3/4 -c:v libvpx",
    "oblong_16_11.ts": f"{SOURCE} -vf setsar=16/11 -c:v mpeg2video",
    # Times
    "edit_list.mp4": f"-ss 0.25 -i {HERE}/h264.mp4 -c copy",
    "negative.ts": f"{SOURCE} {LATE} setpts=PTS-0.2/TB -copyts -avoid_negative_ts disabled"
    " -mpegts_copyts 1 -muxdelay 0 -muxpreload 0",
    "jumping.mkv": f"{SOURCE} {LATE} setpts=PTS+7200/TB*trunc(N/6)",
    "jumping.ts": f"{SOURCE} {LATE} setpts=PTS+3600/TB*trunc(N/6)",
    "variable.mp4": f"{SOURCE} {LATE} setpts=(N+N*N/10)/25/TB",
    "variable.webm": f"{SOURCE} -vsync passthrough -c:v libvpx -vf setpts=(N+N*N/10)/25/TB",
    "pause.mkv": f"{SOURCE} {LATE} setpts=PTS+5/TB*trunc(N/6)",
    "pause.avi": f"{SOURCE} -vsync passthrough -c:v mpeg4 -vf setpts=PTS+1/TB*trunc(N/6)",
    "long_sound.mkv": f"{SOURCE} -f lavfi -i sine=d=3 {X264} -c:a libopus",
    "no_duration.webm": f"{SOURCE} -c:v libvpx -f webm pipe:",
    "no_duration.flv": f"{SOURCE} {X264} -f flv pipe:",
    # Streams
    "raw.h264": f"-i {HERE}/h264.mp4 -c copy",
    "raw.hevc": f"-i {HERE}/hevc.mp4 -c copy",
    "raw.m2v": f"{SOURCE} -c:v mpeg2video",
    "raw.m4v": f"{SOURCE} -c:v mpeg4",
    "two_last_default.mp4": f"{SMALL} {SOURCE} -map 0 -map 1 {X264} -disposition:v:0 0"
    " -disposition:v:1 default",
    "two_small_default.mkv": f"{SOURCE} {SMALL} -map 0 -map 1 {X264} -disposition:v:0 0"
    " -disposition:v:1 default",
    "cover.png": "-f lavfi -i testsrc=s=120x120 -frames:v 1",
    "cover_first.mp4": f"-i {HERE}/cover.png -i {HERE}/h264.mp4 -map 0 -map 1 -c copy"
    " -disposition:v:0 attached_pic -disposition:v:1 0",
    "cover_last.mp4": f"-i {HERE}/h264.mp4 -i {HERE}/cover.png -map 0 -map 1 -c copy"
    " -disposition:v:1 attached_pic",
    "cover_attached.mkv": f"-i {HERE}/h264.mp4 -attach {HERE}/cover.png"
    " -metadata:s:t mimetype=image/png -c copy",
    "cover_and_no_default.mkv": f"-i {HERE}/h264.mp4 -attach {HERE}/cover.png"
    " -metadata:s:t mimetype=image/png -c copy -disposition:v:0 0 -default_mode passthrough",
    "cover_of_a_sound.m4a": f"{SOUND} -i {HERE}/cover.png -map 0 -map 1 -c:a aac -c:v copy"
    " -disposition:v:0 attached_pic",
    "small.h264": f"{SMALL} {X264} -pix_fmt yuv420p",
}

# a, b, c and d of the matrix in the header of an MP4: where the picture's axes point.
TURNS = {
    "turned_0.mp4": (1, 0, 0, 1),
    "turned_90.mp4": (0, 1, -1, 0),
    "turned_180.mp4": (-1, 0, 0, -1),
    "turned_270.mp4": (0, -1, 1, 0),
    "mirrored_0.mp4": (-1, 0, 0, 1),
    "mirrored_90.mp4": (0, 1, 1, 0),
    "mirrored_180.mp4": (1, 0, 0, -1),
    "mirrored_270.mp4": (0, -1, -1, 0),
}


def ffmpeg(path: Path, *arguments: str, say: str = "info") -> subprocess.CompletedProcess:
    """Decode a file with the command line, every frame once."""
    command = ["ffmpeg", "-v", say, "-threads", "1", "-copyts", "-i", f"file:{path}", "-an"]
    return subprocess.run(
        [*command, "-sn", "-vsync", "passthrough", *arguments], capture_output=True
    )


def decode(path: Path) -> tuple[list[np.ndarray], list[float]]:
    """What the command line shows: frames, uint8 [H, W, 3], RGB, and their times in seconds."""
    said = ffmpeg(path, "-vf", "showinfo", "-f", "null", "-").stderr.decode(errors="replace")
    times = [float(time) for time in re.findall(r" pts_time:\s*(-?[\d.]+)", said)]
    content = ffmpeg(path, "-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "-").stdout
    frames = []
    while content:
        _, size, _, pixels = content.split(b"\n", 3)
        width, height = map(int, size.split())
        count = height * width * 3
        frames.append(np.frombuffer(pixels[:count], np.uint8).reshape(height, width, 3))
        content = pixels[count:]
    return frames, times


def complains(path: Path) -> bool:
    """Whether the command line speaks of an error in a file; it does not see all damage."""
    return bool(ffmpeg(path, "-f", "null", "-", say="error").stderr)


def cells(frame: np.ndarray) -> np.ndarray:
    """The means of `GRID` cells of a frame [H, W, 3], uint8: a picture in few bytes."""
    rows = [np.array_split(row, GRID[1], axis=1) for row in np.array_split(frame, GRID[0])]
    return np.array([[cell.mean((0, 1)) for cell in row] for row in rows]).round().astype(np.uint8)


def damage(content: bytes, place: int, places: int) -> bytes:
    """Zeros in one of several places behind the header."""
    begin = len(content) // 5 + place * (len(content) * 3 // 5) // places
    return content[:begin] + bytes(60) + content[begin + 60 :]


def units(stream: bytes) -> list[bytes]:
    """The units of a raw H.264 stream: parameters and frames."""
    return [b"\0\0\0\1" + unit for unit in re.split(rb"\0\0\0?\x01", stream)[1:]]


def make() -> None:
    """Make the files."""
    for name, arguments in FILES.items():
        command = ["ffmpeg", "-v", "error", "-y", *shlex.split(arguments), "-fflags", "+bitexact"]
        to = [] if arguments.endswith("pipe:") else [str(HERE / name)]
        done = subprocess.run([*command, *to], check=True, stdout=subprocess.PIPE)
        if not to:
            (HERE / name).write_bytes(done.stdout)
    content = (HERE / "h264.mp4").read_bytes()
    place = content.index(b"tkhd") + 4 + 40
    for name, (a, b, c, d) in TURNS.items():
        x, y = 96 * (a < 0) + 64 * (c < 0), 64 * (d < 0) + 96 * (b < 0)
        values = [a << 16, b << 16, 0, c << 16, d << 16, 0, x << 16, y << 16, 1 << 30]
        matrix = struct.pack(">9i", *values)
        (HERE / name).write_bytes(content[:place] + matrix + content[place + len(matrix) :])
    content = bytearray((HERE / "raw_bgr.avi").read_bytes())
    place = content.index(b"strf") + 16
    height = abs(struct.unpack_from("<i", content, place)[0])
    struct.pack_into("<i", content, place, height)  # positive: the last row comes first
    (HERE / "raw_from_below.avi").write_bytes(content)
    content = (HERE / "h264.mp4").read_bytes()
    (HERE / "short.mp4").write_bytes(content[: len(content) * 3 // 4])
    raw = units((HERE / "raw.h264").read_bytes())
    key = next(i for i, unit in enumerate(raw) if unit[4] & 31 == 5)
    (HERE / "no_key_frame.h264").write_bytes(b"".join(raw[:key] + raw[key + 1 :]))
    small = HERE / "small.h264"
    (HERE / "two_sizes.h264").write_bytes(b"".join(raw) + small.read_bytes())
    for path in (small, HERE / "cover.png"):
        path.unlink()


def files() -> list[Path]:
    """The odd files."""
    ours = (".py", ".npz", ".md", ".json")
    return sorted(p for p in HERE.iterdir() if p.is_file() and p.suffix not in ours)


def measure() -> None:
    """Store what the command line says: times, shapes, pixels; and after damage."""
    about, pictures, damaged = {}, {}, {}
    for path in files():
        frames, times = decode(path)
        shapes = sorted({frame.shape[:2] for frame in frames})
        about[path.name] = {"times": times, "shapes": shapes}
        shown = [frames[i] for i in (0, len(frames) // 2, -1)]
        pictures[path.name] = np.stack([cells(frame) for frame in shown])
        print(f"{path.name:24} {len(frames):2} frames {path.stat().st_size:6} bytes")
    with tempfile.TemporaryDirectory() as folder:
        for name in DAMAGED:
            path = Path(folder, name)
            damaged[name] = []
            for place in range(PLACES):
                path.write_bytes(damage((HERE / name).read_bytes(), place, PLACES))
                damaged[name].append([len(decode(path)[0]), complains(path)])
    np.savez_compressed(HERE / "expected.npz", **pictures)
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in about.items()]
    lines.append(f'"damaged": {json.dumps(damaged)}')
    (HERE / "expected.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    make()
    measure()
