package sockets

var rawOptions = map[optionKey]*option{}
