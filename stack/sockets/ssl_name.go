package sockets

import (
	"encoding/asn1"
	"strings"
)

// attributeNames are OpenSSL's short names of the parts of a distinguished name
// (obj_mac.h) that certificates have.
var attributeNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
	"2.5.4.9": "street", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.13": "description",
	"2.5.4.15": "businessCategory", "2.5.4.16": "postalAddress", "2.5.4.17": "postalCode", "2.5.4.18": "postOfficeBox",
	"2.5.4.20": "telephoneNumber", "2.5.4.41": "name", "2.5.4.42": "GN", "2.5.4.43": "initials",
	"2.5.4.44": "generationQualifier", "2.5.4.45": "x500UniqueIdentifier", "2.5.4.46": "dnQualifier",
	"2.5.4.65": "pseudonym", "2.5.4.72": "role", "2.5.4.97": "organizationIdentifier",
	"0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC",
	"1.2.840.113549.1.9.1": "emailAddress", "1.2.840.113549.1.9.2": "unstructuredName",
	"1.3.6.1.4.1.311.60.2.1.1": "jurisdictionL", "1.3.6.1.4.1.311.60.2.1.2": "jurisdictionST",
	"1.3.6.1.4.1.311.60.2.1.3": "jurisdictionC",
}

// relativeNameSET is a part of a distinguished name. The suffix SET tells
// encoding/asn1 what it is.
type relativeNameSET []struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

// oneLineName formats a distinguished name as X509_NAME_oneline did until
// OpenSSL 3, which marks a '/' in a value and writes '+' inside of a part. Package
// pkix would reverse the order and decode the strings. What is no name is "".
func oneLineName(raw []byte) string {
	var name []relativeNameSET
	if rest, err := asn1.Unmarshal(raw, &name); err != nil || len(rest) > 0 {
		return ""
	}
	var b strings.Builder
	for _, part := range name {
		for _, a := range part {
			key, ok := attributeNames[a.Type.String()]
			if !ok {
				key = a.Type.String()
			}
			b.WriteString("/" + key + "=")
			for _, c := range a.Value.Bytes {
				if c < ' ' || c > '~' {
					const digits = "0123456789ABCDEF"
					b.WriteString(`\x`)
					b.WriteByte(digits[c>>4])
					b.WriteByte(digits[c&0xf])
				} else {
					b.WriteByte(c)
				}
			}
		}
	}
	return b.String()
}
