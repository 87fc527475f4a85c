package sockets

var unixOptions = map[optionKey]*option{}
