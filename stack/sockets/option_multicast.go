package sockets

var multicastOptions = map[optionKey]*option{}
