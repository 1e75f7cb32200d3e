import bucket

bucket.create("mybucket")
