package sockets

var messageOptions = map[optionKey]*option{}
