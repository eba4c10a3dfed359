#!/usr/bin/env bash
# Trains the network that ships with the library, on drawn people only: first on single frames, then, inflated, on clips.
#
#     bash examples/train_synthetic.sh OUT && python weights/ship.py OUT/clips/model
#
# About an hour of two cores with AMX. Interrupted, the same command goes on. Docs: docs/training.md, docs/synthetic.md.
set -euo pipefail
out=${1:?"the folder of the run"}
here=$(cd "$(dirname "$0")" && pwd)
# glibc gives large blocks back to the system at once, and gets them again page by page: a third of the time, on the machine of the card
export MALLOC_MMAP_THRESHOLD_=8589934592 MALLOC_TRIM_THRESHOLD_=17179869184 MALLOC_TOP_PAD_=268435456
export OMP_NUM_THREADS=1 # two processes read while one trains

people=(--data-seed 11 --identities 2000 --tracklets 6 --rendered-frames 8 --rate 0.3 1.4 --lookalikes 0 --figures "$out/figures" --compiled)
recipe=(--head bnneck --erasing 0.3 -K 4 --optimiser adamw --weight-decay 0.05 --warmup 50 --licence Apache-2.0)

python "$here/train.py" synthetic -o "$out/frames" --model c2d18_half --frames 1 \
    "${people[@]}" "${recipe[@]}" -P 24 --lr 1e-3 --steps 3000
python "$here/train.py" synthetic -o "$out/clips" --model r3d18_half_nl --set init=center --init-from "$out/frames/model" \
    "${people[@]}" "${recipe[@]}" -P 16 --lr 3e-4 --steps 600
