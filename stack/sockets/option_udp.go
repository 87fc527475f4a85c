package sockets

// udpOptions are the options of SOL_UDP that have no part in the data path;
// option_message.go has the others.
var udpOptions = map[optionKey]*option{
	{SOL_UDP, UDP_ENCAP}: {name: "UDP_ENCAP", only: onUDP, size: 4, stored: true,
		read: readInt(onlyValue(0)), reason: "there is no IPsec"},
	{SOL_UDP, UDP_NO_CHECK6_TX}: {name: "UDP_NO_CHECK6_TX", only: onUDP, size: 4, stored: true,
		read: readInt(onlyValueOf(0, truth)), reason: checksum6},
	{SOL_UDP, UDP_NO_CHECK6_RX}: {name: "UDP_NO_CHECK6_RX", only: onUDP, size: 4, stored: true,
		read: readInt(onlyValueOf(0, truth)), reason: checksum6},
}

const checksum6 = "netstack sends and checks every UDP checksum over IPv6"
