# SPDX-License-Identifier: Apache-2.0
# The second call: the paper's CIFAR-10 experiment, which gets all the time behind the build; and, where it is asked for, what ncu
# says of one kernel.
plan='
# stage        least most  needs
build             40  110  library backend
cifar10           60  600  library backend
ncu                -    -  kernels
'
images=.gpu-data/cifar10-jpeg.tar.xz

command_of() {
  case $1 in
    cifar10)
      # SGD, LNGD and Muon first; the others, and more seeds, where they fit.
      local options=(--then kfac,adamw,lngd@2,sgd@2,muon@2)
      if [ -n "$dry" ]; then
        options=(--device cpu --lngd-device emulated --epochs 1 --train-images 24 --test-images 12 --batch 8 --width 4 --calibration-steps 2)
        [ -f "$images" ] || images=$(random_images)
      fi
      # It plans its epochs by the seconds that it is given, and writes each evaluation at once.
      command=("$python" bench/gpu/cifar10.py --library "$build/native" --data "$images" --out "$curves" --seconds $((limit - 4)) "${options[@]}"
        "${words[@]}")
      [ -e "$images" ] || missing="no $images (README.md)"
      torch || missing="no PyTorch in $python"
      ;;
    ncu) ncu_command ;;
  esac
}

# A folder in the form of the official files, 8 images each: what a rehearsal needs of them.
random_images() {
  local name folder=$work/random-images
  mkdir -p "$folder"
  for name in data_batch_{1,2,3,4,5} test_batch; do
    for _ in 1 2 3 4 5 6 7 8; do
      printf '\3'
      head -c 3072 /dev/urandom
    done >"$folder/$name.bin"
  done
  echo "$folder"
}
