# Notes the order on its standard input as packed.
id=$(cat)
redis-cli -h cache set "packed:$id" "$id"
