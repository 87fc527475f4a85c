package sockets

var packetOptions = map[optionKey]*option{}
