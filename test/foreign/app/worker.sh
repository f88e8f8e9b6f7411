# Takes orders from the queue, one at a time. Ends when its broker hangs up; Docker starts it again.
set -e
until amqp-declare-queue --url="$QUEUE" -q orders -d > /dev/null; do sleep 0.5; done
exec amqp-consume --url="$QUEUE" -q orders sh pack.sh
