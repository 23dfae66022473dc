#!/usr/bin/env bash
# What ends a training program, from its command line: signals, kill -9, closed pipes, a full disk, a second program; and
# that --resume continues with the same bits.
#
# usage: training_run_test.sh FOLDER_OF_PROGRAMS
set -euo pipefail
programs=$1
. "$(dirname "$0")/common.sh"
for i in $(seq 300); do echo "the quick brown fox no $((i % 7)) jumps over the lazy dog"; done >"$work/text"
for part in train dev; do
  { printf 'label\ttext\n'; for i in $(seq 40); do printf '%s\t%s fox no %s\n' $((i % 2)) "$([ $((i % 2)) = 0 ] && echo quick || echo lazy)" "$i"; done; } >"$work/$part.tsv"
done
char_options=(--text "$work/text" --n-layer 2 --n-head 2 --n-embd 32 --block-size 32 --batch-size 8 --eval-batches 5 --dropout 0.1
  --grad-accumulation 2 --eval-interval 100 --sample-every 150 --save-interval 70 --max-steps 300)
char() { "$programs/train_char_gpt" "${char_options[@]}" "$@"; }
# In the background, as process $child, which Ctrl-C reaches: a background job of a shell ignores it unless it says otherwise.
start() {
  (trap - INT; exec "$@") >"$work/out" 2>"$work/err" &
  child=$!
}
# What a run comes to, without its times.
result() {
  sed -E 's/, "tokens_per_s".*//' "$1/metrics.jsonl"
  cat "$1/samples.txt"
  sha256sum <"$1/model.safetensors"
  sha256sum <"$1/best/model.safetensors"
}
# Waits until a file holds a pattern so many times.
wait_for() {
  local file=$1 pattern=$2 count=$3
  for _ in $(seq 600); do
    [ -f "$file" ] && [ "$(grep -c -- "$pattern" "$file" || true)" -ge "$count" ] && return
    sleep 0.02
  done
  fail "$file never had $count times $pattern"
}

char --out "$work/whole" >/dev/null 2>&1
[ -e "$work/whole/checkpoints/step-00000300.safetensors" ] || fail "a finished run has a checkpoint"
[ "$(find "$work/whole/checkpoints" -type f | wc -l)" = 2 ] || fail "--keep-last 2"

# Signals: the first saves and gives 130 or 143; the run goes on with the same bits, also with other threads.
for signal in INT TERM HUP; do
  run=$work/$signal
  start "$programs/train_char_gpt" "${char_options[@]}" --out "$run" --threads 2
  wait_for "$run/metrics.jsonl" '"loss"' $((RANDOM % 60 + 80))
  kill -s $signal $child
  status=0
  wait $child || status=$?
  [ $status = $((128 + $(kill -l $signal))) ] || fail "SIG$signal: exit code $status: $(tail -n 3 "$work/err")"
  grep -qE "^train_char_gpt: interrupted; step [0-9]+ is saved in $run: the same command with --resume continues$" "$work/err" ||
    fail "SIG$signal says: $(tail -n 1 "$work/err")"
  [ ! -s "$work/out" ] || fail "SIG$signal: a result of a run that is not done"
  [ ! -e "$run/config.json" ] || fail "SIG$signal: a model of a run that is not done"
  steps=$(grep -c '"loss"' "$run/metrics.jsonl")
  [ -e "$run/checkpoints/step-$(printf %08d "$steps").safetensors" ] || fail "SIG$signal: step $steps is not saved"
  char --out "$run" --resume --threads 1 >/dev/null 2>"$work/err" || fail "--resume: $(cat "$work/err")"
  grep -q "^resumed at step $steps$" "$work/err" || fail "--resume says: $(cat "$work/err")"
  diff <(result "$work/whole") <(result "$run") || fail "SIG$signal: the run resumed at step $steps is another"
done

# kill -9 at any moment.
for round in 1 2 3; do
  run=$work/killed$round
  start "$programs/train_char_gpt" "${char_options[@]}" --out "$run" --resume
  wait_for "$run/metrics.jsonl" '"loss"' $((RANDOM % 150 + 60))
  kill -9 $child
  wait $child 2>/dev/null || true
  char --out "$run" --resume >/dev/null 2>"$work/err" || fail "--resume after kill -9: $(cat "$work/err")"
  diff <(result "$work/whole") <(result "$run") >/dev/null || fail "the run resumed after kill -9 is another"
  [ -z "$(find "$run" -name '*.tmp-*')" ] || fail "kill -9 left $(find "$run" -name '*.tmp-*')"
done

# A run goes on after its end, and one that is done is done.
char --out "$work/whole" --resume >"$work/out" 2>/dev/null
grep -q '"steps": 300' "$work/out" || fail "resuming a finished run: $(cat "$work/out")"
cp -r "$work/whole" "$work/longer"
char --out "$work/longer" --max-steps 330 --resume >"$work/out" 2>/dev/null
grep -q '"steps": 330' "$work/out" || fail "a longer run: $(cat "$work/out")"

# Muon's state is in the checkpoints too.
muon=(--optimizer muon --warmup-steps 5 --decay constant)
char --out "$work/muon" "${muon[@]}" --max-steps 40 >/dev/null 2>&1
char --out "$work/muon_resumed" "${muon[@]}" --max-steps 25 >/dev/null 2>&1
char --out "$work/muon_resumed" "${muon[@]}" --max-steps 40 --resume --threads 1 >/dev/null 2>&1
cmp "$work/muon/model.safetensors" "$work/muon_resumed/model.safetensors" || fail "muon: the resumed run is another"
char --out "$work/muon_resumed" --max-steps 50 --resume >/dev/null 2>"$work/err" && fail "resumed with another optimizer"
grep -q 'optimizer: "muon" in the checkpoint' "$work/err" || fail "another optimizer says: $(cat "$work/err")"

# finetune and pretrain, with early stopping and the best weights kept.
"$programs/pretrain" --text "$work/text" --vocab-size 300 --n-layer 1 --n-head 2 --n-embd 32 --block-size 32 --max-steps 30 \
  --eval-batches 2 --out "$work/gpt" >/dev/null 2>&1 || fail pretrain
tune_options=(--task classification --model "$work/gpt" --train "$work/train.tsv" --dev "$work/dev.tsv" --epochs 30 --batch-size 8
  --learning-rate 1e-3 --eval-interval 10 --patience 6 --save-interval 7)
tune() { "$programs/finetune" "${tune_options[@]}" "$@"; }
tune --out "$work/tuned" >"$work/whole.json" 2>/dev/null || fail finetune
start "$programs/finetune" "${tune_options[@]}" --out "$work/cut"
wait_for "$work/cut/metrics.jsonl" '"loss"' 25
kill -s INT $child
status=0
wait $child || status=$?
[ $status = 130 ] || fail "finetune: exit code $status"
tune --out "$work/cut" --resume >"$work/cut.json" 2>/dev/null || fail "finetune --resume"
cmp "$work/tuned/metrics.jsonl" "$work/cut/metrics.jsonl" || fail "finetune: other metrics"
cmp "$work/tuned/model.safetensors" "$work/cut/model.safetensors" || fail "finetune: other weights"
diff <(sed -E 's/"seconds": .*//' "$work/whole.json") <(sed -E 's/"seconds": .*//' "$work/cut.json") || fail "finetune: another result"

# What would overwrite or mix is refused: exit code 1, one line, and nothing changes.
before=$(find "$work/whole" "$work/gpt" -type f -exec sha256sum {} + | sort)
expect() {
  local message=$1
  shift
  if "$@" >"$work/out" 2>"$work/err"; then fail "accepted: $*"; fi
  grep -qF -- "$message" "$work/err" || fail "expected '$message', got: $(cat "$work/err")"
  [ "$(wc -l <"$work/err")" -le 3 ] || fail "an error is a few lines: $(cat "$work/err")"
}
expect ': holds a run or a model (checkpoints): continue it with --resume, or replace it with --overwrite' char --out "$work/whole"
expect '--resume excludes --overwrite' char --out "$work/whole" --resume --overwrite
expect 'needs a number, 0 or more, got "nan"' char --out "$work/whole" --overwrite --learning-rate nan
expect 'seed: 1337 in the checkpoint, 7 now' char --out "$work/whole" --resume --seed 7
expect 'keep_last must be 1 or more, got 0' char --out "$work/whole" --overwrite --keep-last 0
expect 'is the folder of --model: choose another' tune --out "$work/gpt" --overwrite
expect 'needs a number, 0 or more, got "1e999"' char --out "$work/whole" --overwrite --min-lr 1e999
mkfifo "$work/fifo"
expect '/fifo: the file is empty' char --text "$work/fifo" --out "$work/no"
[ "$before" = "$(find "$work/whole" "$work/gpt" -type f -exec sha256sum {} + | sort)" ] || fail "a refused run changed a file"

# Two programs, one folder: the second says so, and the first is not disturbed.
start "$programs/train_char_gpt" "${char_options[@]}" --out "$work/two"
wait_for "$work/two/metrics.jsonl" '"loss"' 20
expect ": process $child is writing to this folder" char --out "$work/two"
expect ": process $child is writing to this folder" char --out "$work/two" --resume
wait $child || fail "the first program was disturbed"
diff <(result "$work/whole") <(result "$work/two") >/dev/null || fail "the first program trained something else"

# Closed pipes and streams: no crash, nothing lost, nothing in the wrong file.
(char --out "$work/pipe" || echo "exit code $?" >"$work/code") 2>&1 | head -n 1 >/dev/null
diff <(result "$work/whole") <(result "$work/pipe") >/dev/null || fail "a closed pipe"
char --out "$work/closed" 2>&- >&- <&- || true
diff <(result "$work/whole") <(result "$work/closed") >/dev/null || fail "closed streams"
if grep -v '^{.*}$' "$work/closed/metrics.jsonl"; then fail "messages among the metrics"; fi
printf 'some text' | "$programs/generate" --model "$work/whole" --max-new-tokens 3000 | head -c 5 >/dev/null || true

# A full disk: a message with the way out, and a run that goes on when there is space.
status=0
(ulimit -f 60; char --out "$work/full" >/dev/null 2>"$work/err") || status=$?
[ $status = 1 ] || fail "a full disk: exit code $status"
grep -q 'File too large.*: free space' "$work/err" || fail "a full disk says: $(tail -n 1 "$work/err")"
char --out "$work/full" --resume >/dev/null 2>&1 || fail "--resume after a full disk"
diff <(result "$work/whole") <(result "$work/full") >/dev/null || fail "the run resumed after a full disk is another"
# A model that does not fit: the old one stays, whole.
cp -r "$work/gpt" "$work/old"
status=0
(ulimit -f 4; "$programs/convert" --model "$work/whole" --out "$work/old" 2>"$work/err") || status=$?
[ $status = 1 ] || fail "a model that does not fit: exit code $status"
for name in model.safetensors config.json tokenizer.json; do cmp "$work/gpt/$name" "$work/old/$name" || fail "a model that does not fit"; done
[ -z "$(find "$work/old" -name '*tmp-*')" ] || fail "a model that does not fit left files"
echo passed
