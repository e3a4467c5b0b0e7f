package main

import (
	"errors"
	"os"

	"github.com/ergane-dev/ergane/internal/credentials"
)

// externalS3 is a result store that is not ours. AWS clients take one key pair
// for all services, so the store's pair is good for the API, too.
type externalS3 struct{ Endpoint, Region, AccessKeyID, Secret string }

// externalFromEnv reads ERGANE_S3_*. The AWS_* names are not used: `ergane env`
// sets those, for clients.
func externalFromEnv() (externalS3, error) {
	x := externalS3{
		Endpoint: os.Getenv("ERGANE_S3_ENDPOINT"), Region: os.Getenv("ERGANE_S3_REGION"),
		AccessKeyID: os.Getenv("ERGANE_S3_ACCESS_KEY_ID"), Secret: os.Getenv("ERGANE_S3_SECRET_ACCESS_KEY"),
	}
	if x.Region == "" {
		x.Region = defaultRegion
	}
	if x.Endpoint == "" || x.AccessKeyID == "" || x.Secret == "" {
		return x, errors.New("the external result store needs ERGANE_S3_ENDPOINT, ERGANE_S3_ACCESS_KEY_ID and ERGANE_S3_SECRET_ACCESS_KEY")
	}
	return x, nil
}

func (x externalS3) key() credentials.Key {
	return credentials.Key{AccessKeyID: x.AccessKeyID, Secret: x.Secret}
}

// clientKey is the key pair for clients of a server whose own root key is root.
func clientKey(info serverInfo, root credentials.Key) (credentials.Key, error) {
	if !info.ExternalS3 {
		return root, nil
	}
	x, err := externalFromEnv()
	return x.key(), err
}
