# Runs a module of renderer with the image's own Python: sh renderer-worker MODULE ARGUMENTS…
# A zip file with the modules follows this script. An image of `renderer image build` has them, compiled.
# The first process of a container ignores SIGTERM unless it handles it: a cancelled job would be killed 30 s later.
trap 'exit 143' TERM
block='env --block-signal=TERM' # while Python starts; busybox cannot do it
$block true 2>/dev/null || block=
main='import runpy, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
sys.path.insert(0, sys.argv.pop(1))
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)'
if [ -d /opt/renderer/renderer ]; then exec $block /opt/venv/bin/python -I -c "$main" /opt/renderer "$@"; fi
older=
for python in python python3 /opt/conda/bin/python /opt/venv/bin/python /venv/bin/python \
  /usr/local/bin/python3 /usr/bin/python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9 python3.8; do
  command -v "$python" >/dev/null 2>&1 || continue
  version=$("$python" -E -S -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
  case $version in
  3.[89] | 3.[1-9][0-9]) exec $block "$python" -I -c "$main" "$0" "$@" ;;
  ?*) older=$version ;;
  esac
done
if [ "$older" ]; then
  echo "openjd_fail: this image's Python is $older, and 3.8 or newer is needed: use another image"
else
  echo "openjd_fail: this image has no Python that can run here: python and python3 are not on its PATH ($PATH); use another image"
fi
exit 4
