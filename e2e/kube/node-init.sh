#!/usr/bin/env bash
# The first process of a node, in namespaces of its own (mount, UTS, IPC, PID, network): gives the node its own
# directories at the usual paths, and keeps containerd, kube-proxy and kubelet running. Whatever the node runs dies with it.
# Usage: node-init.sh DIR NAME ADDRESS LABELS BIN PAUSE.TAR
set -euo pipefail
dir=$1 name=$2 address=$3 labels=$4 bin=$5 pause=$6
hostname "$name"
# Other namespaces' names would keep them alive here after they are deleted outside.
umount --recursive --lazy /run/netns 2>/dev/null || true
mount --make-rshared /
for place in /run /mnt /var/lib; do mount -t tmpfs tmpfs "$place"; done
mkdir -p /run/netns /mnt/disks /var/lib/kubelet "$dir"/log/{pods,containers}
mount --bind "$dir/disks" /mnt/disks
mount --bind "$dir/kubelet" /var/lib/kubelet
mount --bind "$dir/log" /var/log

# keep NAME COMMAND...: runs it again whenever it ends, but not while there is a file NAME.stopped.
keep() {
  local program=$1
  shift
  while true; do
    [[ -e $dir/$program.stopped ]] || "$@" >>"$dir/$program.log" 2>&1 || true
    sleep 0.2
  done
}

keep containerd containerd --config "$dir/containerd.toml" &
until ctr --address "$dir/containerd.sock" version >/dev/null 2>&1; do sleep 0.1; done
ctr --address "$dir/containerd.sock" --namespace k8s.io images import "$pause"
keep kube-proxy "$bin/kube-proxy" --config "$dir/kube-proxy.yaml" &
keep kubelet "$bin/kubelet" --config "$dir/kubelet.yaml" --kubeconfig "$dir/../pki/$name.kubeconfig" \
  --hostname-override "$name" --node-ip "$address" --node-labels "$labels" &
wait
