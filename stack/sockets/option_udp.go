package sockets

var udpOptions = map[optionKey]*option{}
