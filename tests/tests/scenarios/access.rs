//! §12: every method of the contracts, called by nobody, by a stranger and by every role that may not.

use bytes::Bytes;
use contracts::access;
use tests::mesh::{Alone, Mesh};
use tests::methods;
use tests::net::Net;
use tests::people::{SERVICES, roles};
use tests::raw;
use tonic::Code;

/// Every method with the services that serve it, those of health and reflection too.
fn served() -> Vec<(String, Vec<&'static str>)> {
    let contracts = methods::all().into_iter().map(|method| (method.path, method.served_by));
    let everywhere = access::TABLE.iter().map(|(path, _)| *path).filter(|path| path.starts_with("/grpc."));
    contracts.chain(everywhere.map(|path| (path.to_owned(), SERVICES.to_vec()))).collect()
}

/// The code of a call with an empty message; `Ok` where it was answered, or goes on.
async fn code(net: &Net, who: &str, service: &str, path: &str) -> Code {
    let call = raw::call(net.by(who).peer(service), path, Bytes::new());
    match tokio::time::timeout(std::time::Duration::from_millis(300), call).await {
        Ok(Err(status)) => status.code(),
        Ok(Ok(_)) | Err(_) => Code::Ok,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_method_refuses_callers_without_a_key_and_roles_outside_of_its_row() {
    let mesh = Mesh::start().await;
    let (mut looked, mut wrong) = (0, Vec::new());
    for (path, services) in served() {
        let row = access::roles(&path);
        assert!(!row.is_empty(), "{path} has no row");
        let public = row.contains(&"public");
        for service in services {
            let nobody = code(&mesh.net, "", service, &path).await;
            if (nobody == Code::Unauthenticated) == public {
                wrong.push(format!("{service} {path} without a key: {nobody:?}"));
            }
            for role in roles() {
                let may = public || row.contains(&"*") || row.contains(&role);
                if may {
                    continue; // what it then says of an empty message is not the matter here
                }
                looked += 1;
                let answered = code(&mesh.net, role, service, &path).await;
                if answered != Code::PermissionDenied {
                    wrong.push(format!("{service} {path} by {role}: {answered:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(looked > 1000, "only {looked} pairs of method and role");
}

#[tokio::test]
async fn who_may_is_let_in() {
    let mesh = Alone::start().await;
    for (path, services) in served().into_iter().filter(|(_, services)| services == &["registry"]) {
        let row = access::roles(&path);
        let holders: Vec<_> = if row.contains(&"*") { vec!["auditor"] } else { row.to_vec() };
        for role in holders {
            let answered = code(&mesh.net, role, services[0], &path).await;
            let kept_out = [Code::Unauthenticated, Code::PermissionDenied, Code::Unimplemented];
            assert!(!kept_out.contains(&answered), "{path} by {role}: {answered:?}");
        }
    }
}

#[tokio::test]
async fn keys_that_are_wrong_or_expired_are_refused_and_told_apart() {
    let mesh = Alone::start().await;
    let path = "/wlp.registry.v1.ModelService/ListModels";
    let expired =
        raw::call(mesh.net.by("expired").peer("registry"), path, Bytes::new()).await.expect_err("refused");
    assert_eq!(runtime::status::reason(&expired).as_deref(), Some("KEY_EXPIRED"), "{expired:?}");
    for key in ["wlp_guessed", "wlp_", "x", &"long".repeat(200)] {
        let peer = mesh.service().peer(key).expect("a peer");
        let refused = raw::call(peer, path, Bytes::new()).await.expect_err("refused");
        assert_eq!(refused.code(), Code::Unauthenticated);
        assert_eq!(runtime::status::reason(&refused).as_deref(), Some("KEY_UNKNOWN"), "{refused:?}");
    }
    let nobody = raw::call(mesh.net.by("").peer("registry"), path, Bytes::new()).await.expect_err("refused");
    assert_eq!(runtime::status::reason(&nobody).as_deref(), Some("KEY_MISSING"), "{nobody:?}");
    // A key without a role reads what everybody with a key may read, and changes nothing.
    assert_eq!(code(&mesh.net, "nobody", "registry", path).await, Code::Ok);
    let create = "/wlp.registry.v1.ModelService/CreateModel";
    assert_eq!(code(&mesh.net, "nobody", "registry", create).await, Code::PermissionDenied);
}

#[tokio::test]
async fn a_method_that_does_not_exist_is_not_implemented() {
    let mesh = Mesh::start().await;
    for service in SERVICES {
        for path in ["/wlp.registry.v1.ModelService/DropEverything", "/nobody.v1.Knows/It"] {
            assert_eq!(
                code(&mesh.net, "ml-lead", service, path).await,
                Code::Unimplemented,
                "{service} {path}"
            );
        }
    }
}

#[tokio::test]
async fn health_and_reflection_are_on_every_service() {
    let mesh = Mesh::start().await;
    for service in SERVICES {
        let health = tests::facts::eventually("healthy", || async {
            let answer =
                raw::call(mesh.net.by("").peer(service), "/grpc.health.v1.Health/Check", Bytes::new()).await;
            answer.expect("public").filter(|answer| answer[..] == [8, 1]) // status: SERVING
        });
        health.await;
        // ServerReflectionRequest { list_services: "" }
        let request = Bytes::from_static(&[0x3a, 0x00]);
        for version in ["v1", "v1alpha"] {
            let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
            let answer = raw::call(mesh.net.by("developer").peer(service), &path, request.clone()).await;
            let answer =
                answer.unwrap_or_else(|status| panic!("{service} {path}: {status:?}")).expect("an answer");
            let text = String::from_utf8_lossy(&answer);
            for method in methods::all().iter().filter(|method| method.served_by.contains(&service)) {
                let name = method.path.trim_start_matches('/').split('/').next().unwrap_or_default();
                assert!(text.contains(name), "{service} does not reflect {name}");
            }
        }
    }
}
