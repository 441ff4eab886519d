//! Fields that the contract does not have are refused by name, over TCP and in process.
#![allow(clippy::unwrap_used)]

mod echo;

use echo::{KEY, Mesh, say};
use prost_types::Any;
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

#[tokio::test]
async fn a_field_that_the_message_does_not_have_is_named() {
    let mesh = Mesh::start().await;
    for peer in mesh.both(KEY) {
        let mut client = tonic::client::Grpc::new(peer.clone());
        client.ready().await.unwrap();
        // field 1 is the text, field 2 is nothing that this service knows
        let asked = Any { type_url: "hello".into(), value: vec![1] };
        let codec = ProstCodec::<Any, String>::default();
        let refused = client.unary(Request::new(asked), "/test.Echo/Say".parse().unwrap(), codec).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        let bad = runtime::status::field_violations(&refused);
        assert_eq!((bad.len(), bad[0].field.as_str()), (1, "Text"));
        assert_eq!(bad[0].description, "field 2 is unknown to test.Text");
        assert_eq!(say(&peer, Request::new("hello".into())).await.unwrap(), "hello from ml-engineer");
    }
    mesh.stop().await;
}
