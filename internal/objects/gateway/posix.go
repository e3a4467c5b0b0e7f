package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"
)

// durablePosix is versitygw's posix backend with two differences: what was
// acknowledged is on disk, and no answer makes clients wait or is wrong.
type durablePosix struct {
	*posix.Posix
	dir        string              // holds the buckets; also the working directory
	attributes meta.MetadataStorer // as posix has it
	sidecar    string              // where attributes lie as files; empty with xattrs
	owner      string              // access key id that owns all buckets

	making    sync.Mutex // one bucket is made at a time
	finishing [64]sync.Mutex
	writing   [64]sync.Mutex // see putOnce
	seed      maphash.Seed
}

// openPosix opens or makes the folder of a data dir's objects. Attributes are
// extended attributes of the file system if it has them, and otherwise files; a
// data dir that has begun with files stays with files.
func openPosix(dataDir, owner string, l limits) (*durablePosix, error) {
	dir, attributes := objectDirs(dataDir)
	if err := errors.Join(os.MkdirAll(dir, 0o700), syncPath(filepath.Dir(dir))); err != nil {
		return nil, err
	}
	p := &durablePosix{dir: dir, attributes: meta.XattrMeta{}, owner: owner, seed: maphash.MakeSeed()}
	opts := posix.PosixOpts{
		CopyObjectThreshold: 5 << 30, // documented as the default, but 0 refuses every copy
		Concurrency:         l.all(), // no request waits here: slots bound them
		ForceNoObjLockFile:  true,    // our own lock allows only one process
		IOBufferSize:        256 << 10,
	}
	opts.SetNewDirPerm(0o700)
	opts.SetNewFilePerm(0o600)
	_, err := os.Stat(attributes)
	if err == nil || !hasXattrs(dir) {
		if err := os.MkdirAll(attributes, 0o700); err != nil {
			return nil, err
		}
		side, err := meta.NewSideCar(attributes)
		if err != nil {
			return nil, err
		}
		p.attributes, p.sidecar = side, attributes
	}
	p.Posix, err = posix.New(dir, p.attributes, opts)
	return p, err
}

// hasXattrs tries to write one: some file systems allow only reading them.
func hasXattrs(dir string) bool {
	x := meta.XattrMeta{}
	return x.StoreAttribute(nil, dir, "", "ergane", []byte("1")) == nil
}

// commit flushes an object, its attributes and every folder above it. It flushes
// the folders first: on most file systems that writes the rest, too.
func (p *durablePosix) commit(bucket, key string) error {
	top := filepath.Join(p.dir, bucket)
	path := filepath.Join(top, key)
	if err := syncChain(filepath.Dir(path), top); err != nil {
		return fmt.Errorf("flush folders: %w", err)
	}
	if err := syncPath(path); err != nil {
		return fmt.Errorf("flush object: %w", err)
	}
	if p.sidecar == "" {
		return nil
	}
	attributes := filepath.Join(p.sidecar, bucket, key, "meta")
	files, err := os.ReadDir(attributes)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("flush attributes: %w", err)
	}
	for _, f := range files {
		if err := syncPath(filepath.Join(attributes, f.Name())); err != nil {
			return fmt.Errorf("flush attributes: %w", err)
		}
	}
	return syncChain(attributes, p.sidecar)
}

// PutObject flushes the data before the object appears under its name, so that
// no crash leaves an empty object in the place of an older one.
func (p *durablePosix) PutObject(ctx context.Context, in s3response.PutObjectInput) (s3response.PutObjectOutput, error) {
	in.ContentEncoding = storedEncoding(in.ContentEncoding)
	if isDeltaCommit(*in.Key) {
		return p.putOnce(ctx, in)
	}
	return p.put(ctx, in)
}

func (p *durablePosix) put(ctx context.Context, in s3response.PutObjectInput) (s3response.PutObjectOutput, error) {
	out, err := p.PutObjectWithPostFunc(ctx, in, (*os.File).Sync)
	return p.finish(in, out, err)
}

// finish commits what PutObjectWithPostFunc has stored, or explains its error.
func (p *durablePosix) finish(in s3response.PutObjectInput, out s3response.PutObjectOutput, err error) (s3response.PutObjectOutput, error) {
	if err != nil {
		return out, p.explain(*in.Bucket, *in.Key, stalled(err))
	}
	return out, p.commit(*in.Bucket, *in.Key)
}

func (p *durablePosix) UploadPart(ctx context.Context, in *s3.UploadPartInput) (*s3.UploadPartOutput, error) {
	out, err := p.Posix.UploadPart(ctx, in)
	return out, stalled(err)
}

func (p *durablePosix) CopyObject(ctx context.Context, in s3response.CopyObjectInput) (s3response.CopyObjectOutput, error) {
	out, err := p.Posix.CopyObject(ctx, in)
	if err != nil {
		return out, p.explain(*in.Bucket, *in.Key, err)
	}
	return out, p.commit(*in.Bucket, *in.Key)
}

// CreateMultipartUpload refuses at once what could not be completed in the end.
func (p *durablePosix) CreateMultipartUpload(ctx context.Context, in s3response.CreateMultipartUploadInput) (s3response.InitiateMultipartUploadResult, error) {
	if err := p.obstacle(*in.Bucket, *in.Key); err != nil {
		return s3response.InitiateMultipartUploadResult{}, err
	}
	in.ContentEncoding = storedEncoding(in.ContentEncoding)
	return p.Posix.CreateMultipartUpload(ctx, in)
}

// CompleteMultipartUpload is done once per upload: posix would answer a second
// caller, such as a client that tries again, with success while the first call
// still runs, and would take any object of that name for the result.
func (p *durablePosix) CompleteMultipartUpload(ctx context.Context, in *s3.CompleteMultipartUploadInput) (s3response.CompleteMultipartUploadResult, string, error) {
	var none s3response.CompleteMultipartUploadResult
	if in.Key == nil || in.UploadId == nil || in.MultipartUpload == nil {
		return none, "", s3err.GetAPIError(s3err.ErrInvalidRequest)
	}
	turn := &p.finishing[maphash.String(p.seed, *in.UploadId)%uint64(len(p.finishing))]
	turn.Lock()
	defer turn.Unlock()
	if _, err := os.Stat(p.uploadDir(*in.Bucket, *in.Key, *in.UploadId)); err != nil && !p.completed(*in.Bucket, *in.Key, *in.UploadId) {
		return none, "", s3err.GetNoSuchUploadErr(*in.UploadId)
	}
	if err := p.obstacle(*in.Bucket, *in.Key); err != nil {
		return none, "", err
	}
	left := len(in.MultipartUpload.Parts)
	out, version, err := p.CompleteMultipartUploadWithCopy(ctx, in, func(from, to *os.File) (bool, error) {
		_, err := io.Copy(to, from)
		if left--; err == nil && left == 0 {
			err = to.Sync()
		}
		return true, err
	})
	if err != nil {
		return out, version, p.explain(*in.Bucket, *in.Key, err)
	}
	return out, version, p.commit(*in.Bucket, *in.Key)
}

func (p *durablePosix) DeleteObject(ctx context.Context, in *s3.DeleteObjectInput) (*s3.DeleteObjectOutput, error) {
	out, err := p.Posix.DeleteObject(ctx, in)
	if err != nil {
		return out, err
	}
	top := filepath.Join(p.dir, *in.Bucket)
	return out, syncSurvivor(filepath.Dir(filepath.Join(top, *in.Key)), top)
}

// DeleteObjects flushes each folder once. Keys that cannot exist are reported as
// deleted, as S3 does with keys that do not exist.
func (p *durablePosix) DeleteObjects(ctx context.Context, in *s3.DeleteObjectsInput) (s3response.DeleteResult, error) {
	var possible, impossible []types.ObjectIdentifier
	for _, o := range in.Delete.Objects {
		if o.Key == nil || CheckKey(*o.Key) == nil {
			possible = append(possible, o)
		} else {
			impossible = append(impossible, o)
		}
	}
	list := *in.Delete
	list.Objects = possible
	request := *in
	request.Delete = &list
	out, err := p.Posix.DeleteObjects(ctx, &request)
	if err != nil {
		return out, err
	}
	for _, o := range impossible {
		out.Deleted = append(out.Deleted, types.DeletedObject{Key: o.Key})
	}
	top := filepath.Join(p.dir, *in.Bucket)
	var dirs []string
	for _, o := range out.Deleted {
		if o.Key != nil && CheckKey(*o.Key) == nil {
			dirs = append(dirs, filepath.Dir(filepath.Join(top, *o.Key)))
		}
	}
	slices.Sort(dirs)
	for _, dir := range slices.Compact(dirs) {
		if err := syncSurvivor(dir, top); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (p *durablePosix) CreateBucket(ctx context.Context, in *s3.CreateBucketInput, acl []byte) error {
	if err := p.Posix.CreateBucket(ctx, in, acl); err != nil {
		return err
	}
	return errors.Join(p.commit(*in.Bucket, ""), syncPath(p.dir))
}

// ListBuckets leaves out the server's own bucket.
func (p *durablePosix) ListBuckets(ctx context.Context, in s3response.ListBucketsInput) (s3response.ListAllMyBucketsResult, error) {
	out, err := p.Posix.ListBuckets(ctx, in)
	out.Buckets.Bucket = slices.DeleteFunc(out.Buckets.Bucket, func(b s3response.ListAllMyBucketsEntry) bool { return b.Name == ProbeBucket })
	return out, err
}

func (p *durablePosix) DeleteBucket(ctx context.Context, bucket string) error {
	if err := p.Posix.DeleteBucket(ctx, bucket); err != nil {
		return err
	}
	return syncPath(p.dir)
}

// GetBucketAcl is the first call of versitygw after it has checked a signature.
// It creates the missing bucket of a request that writes an object.
func (p *durablePosix) GetBucketAcl(ctx context.Context, in *s3.GetBucketAclInput) ([]byte, error) {
	acl, err := p.Posix.GetBucketAcl(ctx, in)
	if code(err) != "NoSuchBucket" || ctx.Value(makesBucket{}) == nil {
		return acl, err
	}
	p.making.Lock()
	defer p.making.Unlock()
	if acl, err := p.Posix.GetBucketAcl(ctx, in); err == nil {
		return acl, nil
	}
	acl, err = json.Marshal(auth.ACL{Owner: p.owner, Grantees: []auth.Grantee{
		{Permission: auth.PermissionFullControl, Access: p.owner, Type: types.TypeCanonicalUser},
	}})
	if err != nil {
		return nil, err
	}
	err = p.CreateBucket(ctx, &s3.CreateBucketInput{
		Bucket:                    in.Bucket,
		ObjectOwnership:           types.ObjectOwnershipBucketOwnerEnforced,
		CreateBucketConfiguration: &types.CreateBucketConfiguration{},
	}, acl)
	if err != nil && code(err) != "BucketAlreadyOwnedByYou" && code(err) != "BucketAlreadyExists" {
		return nil, err
	}
	return acl, nil
}

// makesBucket marks the context of a request whose bucket may be created.
type makesBucket struct{}

// completed reports whether the object of that name is the result of that upload.
func (p *durablePosix) completed(bucket, key, upload string) bool {
	raw, err := p.attributes.RetrieveAttribute(nil, bucket, key, "mp-metadata")
	if err != nil {
		return false
	}
	m, err := backend.UnmarshalMpUploadMetadata(raw, false)
	return err == nil && m.UploadID == upload
}
