# SPDX-License-Identifier: Apache-2.0
# The second call: the paper's CIFAR-10 experiment, which gets all the time behind the build and a check of its optimizers; and, where
# it is asked for, what ncu says of one kernel.
plan='
# stage        least most  needs
build             40  110  library backend
formulas           8   40  library backend
cifar10           60  600  library backend
ncu                -    -  kernels
'
images=.gpu-data/cifar10-jpeg.tar.xz

command_of() {
  case $1 in
    formulas)
      # What cifar10.py drives, on tensors of this device, against NumPy in double precision.
      local test=lngd_and_kfac_on_a_gpu
      [ -z "$dry" ] || test=lngd_on_the_emulated_device
      command=(env LNGD_LIBRARY="$build/native" "$python" bench/gpu/test_cifar10_optimizers.py "AgainstTheFormulas.test_$test")
      torch || missing="no PyTorch in $python"
      ;;
    cifar10)
      # SGD, LNGD and Muon first; the others, and more seeds, where they fit. lngd/c3: a larger trust ratio and intervals for short
      # runs, which were the better ones in small trials on the CPU.
      local options=(--then kfac,adamw,lngd/c3,lngd@2,sgd@2,muon@2
        --try lngd/c3:trust_constant=0.3,statistics_interval=5,inverse_interval=20)
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
