package metastore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Thrift's binary protocol, as the metastore and its clients speak it
// (https://github.com/apache/thrift/blob/master/doc/specs/thrift-binary-protocol.md).
const (
	strictVersion = 0x80010000
	versionMask   = 0xffff0000
	exceptionKind = 3

	stopField    = 0
	i32Field     = 8
	stringField  = 11
	messageField = 1 // of a TApplicationException
	typeField    = 2
	// internalError is the TApplicationException's type INTERNAL_ERROR.
	internalError = 6

	maxName = 256
)

var errProtocol = errors.New("not a call in Thrift's binary protocol")

// refuse reads the head of one call and answers it with an exception that says
// why. It does not read the call's arguments: the connection cannot be used again.
func refuse(conn io.ReadWriter, why string) error {
	name, sequence, err := readCall(conn)
	if err != nil {
		return err
	}
	answer := binary.BigEndian.AppendUint32(nil, strictVersion|exceptionKind)
	answer = appendString(answer, name)
	answer = binary.BigEndian.AppendUint32(answer, sequence)
	answer = append(answer, stringField, 0, messageField)
	answer = appendString(answer, why)
	answer = append(answer, i32Field, 0, typeField)
	answer = binary.BigEndian.AppendUint32(answer, internalError)
	answer = append(answer, stopField)
	_, err = conn.Write(answer)
	return err
}

func readCall(r io.Reader) (name string, sequence uint32, err error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", 0, fmt.Errorf("read call: %w", err)
	}
	length := binary.BigEndian.Uint32(head[4:])
	if binary.BigEndian.Uint32(head[:])&versionMask != strictVersion || length > maxName {
		return "", 0, errProtocol
	}
	rest := make([]byte, length+4)
	if _, err := io.ReadFull(r, rest); err != nil {
		return "", 0, fmt.Errorf("read call: %w", err)
	}
	return string(rest[:length]), binary.BigEndian.Uint32(rest[length:]), nil
}

func appendString(to []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(to, uint32(len(s))), s...)
}
